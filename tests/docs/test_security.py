"""SECURITY.md: each defence has a test, and nothing in it is invented."""

from __future__ import annotations

import re

import pytest

from tests.docs.pages import ROOT, table_below, text_of

PAGE = "SECURITY.md"
DEFENCES = table_below(PAGE, "| attack |")

TEST = re.compile(r"`tests/[\w/]+\.py::\w+`")


@pytest.mark.parametrize("row", DEFENCES, ids=lambda row: row[0])
def test_every_defence_names_the_test_that_attacks(row: list[str]) -> None:
    """In the last column, and nothing else there. `tests/docs/test_pages.py` finds tests that don't exist."""
    assert TEST.findall(row[-1])
    assert TEST.sub("", row[-1]).strip(", ") == ""


def test_no_address_is_made_up() -> None:
    """Nobody reads mail for an address that isn't there."""
    assert re.findall(r"[\w.]+@[\w.]+\.\w+|mailto:", text_of(PAGE)) == []


def test_the_image_is_made_from_what_the_page_says() -> None:
    (base,) = re.findall(r"base image `(.+?)`", text_of(PAGE))
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    assert f"FROM {base}" in dockerfile
    assert "--require-hashes" in dockerfile
    assert "--only-binary" in dockerfile


def test_the_readme_leads_to_it() -> None:
    assert "](SECURITY.md)" in text_of("README.md")
