"""So many entries of one kind in an interval; the others are counted, and reported once it is over."""

from __future__ import annotations

import logging

from hypothesis import given
from hypothesis import strategies as st

from relay.logs.rate import OTHERS, EntryKind, LogRate

REFUSED = EntryKind("relay.control", logging.WARNING, "refused")
LOST = EntryKind("relay.bus", logging.WARNING, "lost")


def test_the_first_entries_of_an_interval_pass() -> None:
    """Each kind has its own share."""
    rate = LogRate(most_entries=2, interval_seconds=10)
    assert [rate.admit(REFUSED, 1.0) for _ in range(4)] == [True, True, False, False]
    assert rate.admit(LOST, 1.0)
    assert rate.left_out_total == 2


def test_what_was_left_out_is_told_once_when_the_interval_is_over() -> None:
    """And then entries pass again."""
    rate = LogRate(most_entries=1, interval_seconds=10)
    for _ in range(100):
        rate.admit(REFUSED, 5.0)
    assert rate.ended(14.9) == []
    assert rate.next_end == 15.0
    assert rate.ended(15.0) == [(REFUSED, 99)]
    assert rate.ended(15.0) == []
    assert rate.next_end is None
    assert rate.admit(REFUSED, 15.0)


def test_nothing_is_told_of_an_interval_that_left_out_nothing() -> None:
    """A quiet gateway says nothing about it."""
    rate = LogRate(most_entries=2, interval_seconds=10)
    assert [rate.admit(REFUSED, at) for at in (0.0, 5.0, 10.0, 12.0)] == [True, True, True, True]
    assert rate.ended(100.0) == []


def test_a_number_is_not_lost_when_it_is_asked_for_late() -> None:
    """The interval goes on until it was reported."""
    rate = LogRate(most_entries=1, interval_seconds=10)
    assert [rate.admit(REFUSED, at) for at in (0.0, 1.0, 25.0)] == [True, False, False]
    assert rate.ended(25.0) == [(REFUSED, 2)]


def test_kinds_without_end_share_what_is_left() -> None:
    """A library that puts values into its messages doesn't take memory for each."""
    rate = LogRate(most_entries=1, interval_seconds=10, most_kinds=3)
    kinds = [EntryKind("library", logging.ERROR, f"failed with {n}") for n in range(100)]
    assert [rate.admit(kind, 0.0) for kind in kinds] == [*[True] * 4, *[False] * 96]
    assert rate.ended(10.0) == [(EntryKind("library", logging.ERROR, OTHERS), 96)]
    assert rate.admit(kinds[50], 10.0)


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(0, 4)), max_size=200))
def test_no_entry_is_neither_written_nor_told(steps: list[tuple[int, float]]) -> None:
    """At any times: what was admitted and what was reported is all there was."""
    rate = LogRate(most_entries=3, interval_seconds=5, most_kinds=3)
    now, passed, told = 0.0, 0, 0
    for event, pause in steps:
        now += pause
        told += sum(left_out for _, left_out in rate.ended(now))
        passed += rate.admit(REFUSED._replace(event=str(event)), now)
    told += sum(left_out for _, left_out in rate.ended(now + 5))
    assert passed + told == len(steps)
    assert told == rate.left_out_total
