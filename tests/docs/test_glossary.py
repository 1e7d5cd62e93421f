"""Every name in the glossary exists."""

from __future__ import annotations

import re
from functools import cache

import pytest

from relay.settings import Settings
from tests.deploy.observed import series
from tests.docs.pages import ROOT, table_below

TERMS = table_below("docs/glossary.md", "| term |")


@cache
def defined() -> set[str]:
    """Return the names of all classes, functions and types that the modules of the relay define."""
    sources = "".join(path.read_text() for path in (ROOT / "relay").rglob("*.py"))
    return set(re.findall(r"^(?:class |(?:async )?def )?(\w+)(?=\(|:| = )", sources, re.MULTILINE))


@cache
def metrics() -> set[str]:
    """Return the names of all metrics; histograms without their suffixes, too."""
    return {*series(), *(re.sub(r"_(bucket|sum|count)$", "", name) for name in series())}


@pytest.mark.parametrize(("term", "meaning", "where"), TERMS, ids=[row[0].strip("*") for row in TERMS])
def test_what_a_term_names_exists(term: str, meaning: str, where: str) -> None:
    assert re.fullmatch(r"\*\*[A-Za-z -]+\*\*", term)
    assert meaning.endswith((".", ").", "?"))
    names = re.findall("`(.+?)`", where)
    assert re.sub("`.+?`", "", where).strip(", ") == ""
    for name in names:
        if name.startswith("RELAY_"):
            assert name.removeprefix("RELAY_").lower() in Settings.model_fields
        elif name.startswith("relay_"):
            assert name in metrics()
        elif "/" in name or name.endswith(".py"):
            assert (ROOT / "relay" / name).exists()
        else:
            assert name in defined()


def test_terms_stand_once_and_in_order() -> None:
    words = [row[0].strip("*").lower().replace("-", " ") for row in TERMS]
    assert words == sorted(set(words))
