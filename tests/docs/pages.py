"""The pages of the documentation, and what they name."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PAGES = [
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md", "deploy/README.md"),
    *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")),
]
"""Paths below the project's folder."""


@cache
def text_of(page: str) -> str:
    """Return the text of a page; its path is given below the project's folder."""
    return (ROOT / page).read_text()


def table_below(page: str, heading: str) -> list[list[str]]:
    """Return the rows of the table whose heading begins with a text, each as its cells.

    Args:
        page: path below the project's folder.
        heading: how the heading line of the table begins, such as `| close code |`.
    """
    lines = text_of(page).partition(f"\n{heading}")[2].partition("\n\n")[0].splitlines()[2:]
    assert lines, f"{page} has no table {heading!r}"
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def anchors(page: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    prose = re.sub(r"^```.*?^```", "", text_of(page), flags=re.DOTALL | re.MULTILINE)
    headings = re.findall(r"^#+ (.+)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def code_blocks(page: str, language: str) -> list[str]:
    """Return the code of a language on a page; without a language, its pictures and what is no code."""
    parts = re.split(r"^```(.*)\n", text_of(page), flags=re.MULTILINE)
    # The text, a fence's language, the code, and an empty word at the end of the code; again and again.
    return [code for found, code in zip(parts[1::4], parts[2::4], strict=True) if found == language]
