"""docs/README.md: the way to every document."""

from __future__ import annotations

import re

from tests.docs.pages import PAGES, ROOT, text_of

PAGE = "docs/README.md"


def test_every_page_is_on_the_map() -> None:
    """`tests/docs/test_pages.py` sees to it that its links lead somewhere."""
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", text_of(PAGE))
    found = {str((ROOT / "docs" / link).resolve().relative_to(ROOT)) for link in links}
    assert found == set(PAGES) - {PAGE}


def test_each_row_says_what_one_wants_and_where_to_go() -> None:
    rows = re.findall(r"^\| (?!I want to)(\S.*) \| (.+) \|$", text_of(PAGE), re.MULTILINE)
    assert len(rows) >= len(PAGES) - 1
    assert [want for want, where in rows if "](" in want or "](" not in where] == []


def test_the_readme_leads_to_it() -> None:
    assert "](docs/README.md)" in text_of("README.md")
