"""A run is judged by a strict list: worse, better and missing are all surprises."""

from __future__ import annotations

import pytest

from tests.conformance.deviations import CASES, DEVIATIONS, Deviation
from tests.conformance.report import Result
from tests.conformance.verdict import judge

FINE = Result("OK", "OK", 1000)
LATE = Result("NON-STRICT", "OK", 1002)
LISTED = (
    Deviation(("1.2",), ("NON-STRICT",), "OK", 1002, "It is late."),
    Deviation(("12.*",), ("UNIMPLEMENTED",), "OK", 1000, "It isn't there."),
)
GROUPS = {"1": 3, "12": 2}
EXPECTED = {
    "1.1": FINE,
    "1.2": LATE,
    "1.10": FINE,
    "12.1": Result("UNIMPLEMENTED", "OK", 1000),
    "12.2": Result("UNIMPLEMENTED", "OK", 1000),
}


def surprises(results: dict[str, Result]) -> tuple[str, ...]:
    """Return what is surprising in a run, which then must not count as expected."""
    verdict = judge(results, LISTED, GROUPS)
    assert not verdict
    return verdict.surprises


def test_what_is_expected_is_no_surprise_and_is_counted() -> None:
    verdict = judge(EXPECTED, LISTED, GROUPS)
    assert verdict
    assert verdict.behaviors == {"OK": 2, "NON-STRICT": 1, "UNIMPLEMENTED": 2}


@pytest.mark.parametrize(
    "result",
    [
        Result("FAILED", "OK", 1000),
        Result("NON-STRICT", "OK", 1000),
        Result("INFORMATIONAL", "OK", 1000),
        Result("UNIMPLEMENTED", "OK", 1000),
        Result("OK", "FAILED", 1000),
        Result("OK", "UNCLEAN", 1000),
        Result("OK", "WRONG CODE", 1002),
        Result("OK", "FAILED BY CLIENT", None),
        Result("OK", "INFORMATIONAL", 1000),
    ],
)
def test_a_case_that_is_not_listed_must_be_ok(result: Result) -> None:
    assert surprises({**EXPECTED, "1.1": result}) == (f"case 1.1: {result}; expected OK, close OK",)


@pytest.mark.parametrize(
    "result",
    [FINE, Result("OK", "OK", 1002), Result("FAILED", "OK", 1002), Result("NON-STRICT", "OK", 1006)],
    ids=["a pass", "a pass with its code", "worse", "another code"],
)
def test_a_case_that_is_listed_must_be_as_it_is_listed(result: Result) -> None:
    assert surprises({**EXPECTED, "1.2": result}) == (f"case 1.2: {result}; expected NON-STRICT, close OK, code 1002",)


def test_one_case_of_a_group_that_passes_is_a_surprise() -> None:
    (line,) = surprises({**EXPECTED, "12.2": FINE})
    assert line.startswith("case 12.2: OK")


def test_a_run_that_has_ended_early_is_no_success() -> None:
    assert surprises({case: EXPECTED[case] for case in ("1.1", "1.2", "12.1", "12.2")}) == (
        "group 1: 2 cases, expected 3",
    )
    assert len(surprises({})) == 4


def test_a_case_or_a_group_that_nobody_knew_of_is_a_surprise() -> None:
    assert "group 14: 1 cases, expected 0" in surprises({**EXPECTED, "14.1": FINE})


def test_a_listed_case_that_is_gone_is_a_surprise() -> None:
    gone = {case: result for case, result in EXPECTED.items() if case != "1.2"}
    assert "case 1.2: expected, but there is no such case" in surprises({**gone, "1.3": FINE})


def test_surprises_stand_in_the_order_of_their_numbers() -> None:
    lines = surprises({**EXPECTED, "1.10": LATE, "1.1": LATE, "12.1": LATE})
    assert [line.split(":")[0] for line in lines] == ["case 1.1", "case 1.10", "case 12.1"]


def test_a_server_that_does_all_right_is_a_surprise_to_the_list_of_the_relay() -> None:
    """Whoever mends a deviation has to take it off the list."""
    results = {f"{group}.{number}": FINE for group, count in CASES.items() for number in range(count)}
    lines = judge(results, DEVIATIONS, CASES).surprises
    assert sum(line.startswith(("case 12.", "case 13.")) for line in lines) == CASES["12"] + CASES["13"]
