"""Counting events against a rate."""

from __future__ import annotations

from relay.limits.rate import Rate

RATE = Rate(per_second=10, burst=20)


def test_a_burst_is_allowed_and_not_one_event_more() -> None:
    due = RATE.count(0.0, 100.0, 20)
    assert due is not None
    assert RATE.count(due, 100.0, 1) is None
    assert RATE.count(0.0, 100.0, 21) is None


def test_the_even_rate_is_allowed_for_ever() -> None:
    due: float | None = 0.0
    for tick in range(10_000):
        assert due is not None
        due = RATE.count(due, 50.0 + tick / 10, 1)
    assert due is not None


def test_what_was_taken_of_the_burst_comes_back_with_time_and_never_more() -> None:
    due = RATE.count(0.0, 0.0, 20)
    assert due is not None
    due = RATE.count(due, 1.0, 10)
    assert due is not None
    assert RATE.count(due, 1.0, 1) is None
    due = RATE.count(due, 1000.0, 20)
    assert due is not None
    assert RATE.count(due, 1000.0, 1) is None
