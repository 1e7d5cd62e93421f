"""docs/production.md and `relay check` are the same list."""

from __future__ import annotations

import re

from relay.checks.table import ITEMS, PAGE
from relay.checks.verdict import State
from tests.docs.pages import anchors, code_blocks, text_of


def test_the_page_has_a_heading_for_each_item_in_the_same_order() -> None:
    assert re.findall(r"^### (.+)$", text_of(PAGE), re.MULTILINE) == [item.name for item in ITEMS]


def test_items_lead_to_their_headings() -> None:
    for item in ITEMS:
        page, _, anchor = item.anchor.partition("#")
        assert page == PAGE
        assert anchor in anchors(PAGE)


def test_each_item_has_its_reason() -> None:
    _, *parts = re.split(r"^### ", text_of(PAGE), flags=re.MULTILINE)
    assert [part.splitlines()[0] for part in parts if len(part.split()) < 20] == []


def test_the_sample_has_all_states() -> None:
    (sample,) = (code for code in code_blocks(PAGE, "") if code.startswith("missing"))
    assert {line.split()[0] for line in sample.splitlines()} == {state.value for state in State}
    assert {line[9:27].strip() for line in sample.splitlines()} <= {item.name for item in ITEMS}
