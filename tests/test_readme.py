"""What the README says that can be checked."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relay.errors import Disconnect, comes_back
from relay.settings import Settings
from tests.cli.command import invoke

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BEGIN, END = "<!-- settings: begin (tests/test_readme.py keeps this table true) -->\n", "<!-- settings: end -->"


def test_the_table_of_settings_is_true() -> None:
    """Mend it with what `relay config --markdown` prints."""
    written = README.partition(BEGIN)[2].partition(END)[0]
    assert written.strip() == invoke("config", "--markdown").output.strip()


@pytest.mark.parametrize("disconnect", Disconnect)
def test_every_close_code_is_explained(disconnect: Disconnect) -> None:
    rows = [line for line in README.splitlines() if line.startswith(f"| {disconnect.code} |")]
    assert any(disconnect.reason in row for row in rows)


CLOSE_CODES = README.partition("| close code |")[2].partition("\n\n")[0].splitlines()[2:]


@pytest.mark.parametrize("row", CLOSE_CODES)
def test_the_table_of_close_codes_says_what_clients_do(row: str) -> None:
    """`relay subscribe` goes by `comes_back`, and so does the client in the page."""
    _, codes, _, advice, _ = (cell.strip() for cell in row.split("|"))
    ends = [int(code) for code in re.findall("[0-9]{4}", codes)]
    back = not advice.startswith(("mend", "stay away"))
    assert back == advice.startswith(("come back", "the same"))
    assert {comes_back(code) for code in ends} == {back}
    assert len(ends) > 1 or ends[0] in {1002, *(disconnect.code for disconnect in Disconnect)}


PAGES = ["README.md", *(f"docs/{page.name}" for page in sorted((ROOT / "docs").glob("*.md")))]


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    named = [link for link in links if "://" not in link]
    assert all((ROOT / page).parent.joinpath(link).exists() for link in named), named
    paths = re.findall(r"`((?:tests|relay|docs|bench)/[\w/]+\.(?:py|md))`", text)
    assert all((ROOT / path).exists() for path in paths), paths


def test_every_variable_that_is_named_is_a_setting() -> None:
    names = {f"RELAY_{name.upper()}" for name in Settings.model_fields}
    for page in PAGES:
        assert set(re.findall(r"RELAY_[A-Z_]+[A-Z]", (ROOT / page).read_text())) <= names, page
