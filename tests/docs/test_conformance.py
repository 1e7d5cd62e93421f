"""The tables of docs/conformance.md: Autobahn's groups, what isn't simply OK, and the tests of each section."""

from __future__ import annotations

import re

import pytest

from tests.conformance.deviations import CASES, DEVIATIONS
from tests.docs.pages import ROOT, table_below, text_of

PAGE = "docs/conformance.md"
HOME = "tests/system/test_protocol_errors.py"
"""Where tests stand that are named without a file."""


def test_every_group_of_cases_has_its_numbers() -> None:
    listed = {name.partition(".")[0]: 0 for one in DEVIATIONS for name in one.cases}
    for name in (name for one in DEVIATIONS for name in one.cases):
        group, _, rest = name.partition(".")
        listed[group] += CASES[group] if rest == "*" else 1
    rows = {group: tuple(map(int, numbers)) for group, _, *numbers in table_below(PAGE, "| group |")}
    assert rows == {
        group: (count, count - listed.get(group, 0), listed.get(group, 0)) for group, count in CASES.items()
    }
    assert f"{sum(CASES.values())} cases" in text_of(PAGE)


def test_the_list_is_the_one_that_runs_are_judged_by() -> None:
    rows = table_below(PAGE, "| cases | Autobahn says |")
    assert rows == [
        [
            ", ".join(one.cases).replace("*", r"\*"),
            " or ".join(one.behaviors),
            "any" if one.code is None else str(one.code),
            one.reason,
        ]
        for one in DEVIATIONS
    ]


@pytest.mark.parametrize("heading", ["| section |", "| | the relay |"])
def test_tests_that_are_named_without_a_file_are_those_of_protocol_errors(heading: str) -> None:
    named = [name for row in table_below(PAGE, heading) for name in re.findall(r"`(test_\w+)`", row[-1])]
    assert named
    source = (ROOT / HOME).read_text()
    assert [name for name in named if f"def {name}(" not in source] == []


def test_every_row_names_what_holds_it() -> None:
    rows = [*table_below(PAGE, "| section |"), *table_below(PAGE, "| | the relay |")]
    assert [row for row in rows if not re.search(r"test_\w+|tests/", row[-1])] == []


def test_the_number_of_refusals_is_that_of_the_table() -> None:
    from tests.gateway.test_opening_request import REFUSED

    assert f"refuse any other: {len(REFUSED)} requests" in text_of(PAGE)
