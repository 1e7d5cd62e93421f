"""The list of what isn't simply OK."""

from __future__ import annotations

from collections import Counter

from tests.conformance.deviations import CASES, DEVIATIONS, Deviation
from tests.conformance.report import Result

SLOW = Deviation(("5.15", "12.*"), ("OK", "NON-STRICT"), "OK", 1002, "It is slow.")


def test_it_covers_its_cases_and_groups_alone() -> None:
    assert [case for case in ("5.1", "5.15", "5.15.1", "12.1.1", "1.2", "2.12") if SLOW.covers(case)] == [
        "5.15",
        "12.1.1",
    ]


def test_it_allows_what_it_says_and_nothing_better_or_worse() -> None:
    assert SLOW.allows(Result("OK", "OK", 1002))
    assert SLOW.allows(Result("NON-STRICT", "OK", 1002))
    assert not SLOW.allows(Result("FAILED", "OK", 1002))
    assert not SLOW.allows(Result("OK", "UNCLEAN", 1002))
    assert not SLOW.allows(Result("OK", "OK", 1011))
    assert not SLOW.allows(Result("OK", "OK", None))


def test_without_a_code_any_will_do() -> None:
    any_code = Deviation(("7.1.6",), ("OK",), "OK", None, "It is a matter of time.")
    assert any_code.allows(Result("OK", "OK", None))
    assert any_code.allows(Result("OK", "OK", 1001))


def test_no_case_is_in_the_list_twice_and_each_has_a_reason() -> None:
    names = Counter(name for deviation in DEVIATIONS for name in deviation.cases)
    assert [name for name, times in names.items() if times > 1] == []
    assert all(deviation.reason.endswith(".") for deviation in DEVIATIONS)
    assert {name.partition(".")[0] for name in names} <= CASES.keys()


def test_a_failure_that_is_allowed_is_one_of_limits() -> None:
    """A gateway that fails the protocol itself is to be mended."""
    assert {name.partition(".")[0] for one in DEVIATIONS if "FAILED" in one.behaviors for name in one.cases} == {"9"}
