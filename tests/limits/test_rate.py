"""Counting events against a rate."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from relay.limits.rate import ROUNDING_SECONDS, Rate

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


def test_what_is_too_much_is_taken_from_later_events() -> None:
    due = RATE.add(0.0, 100.0, 50)
    assert RATE.left(due, 100.0) == -30
    assert RATE.left(due, 102.0) == -10
    assert RATE.left(due, 1000.0) == RATE.burst


@given(
    events=st.integers(1, 100), later=st.floats(0.0, 10.0), per_second=st.floats(0.1, 1e5), burst=st.integers(1, 1000)
)
def test_after_the_wait_one_more_event_may_come_and_not_before(
    events: int, later: float, per_second: float, burst: int
) -> None:
    rate = Rate(per_second, burst)
    due = rate.add(0.0, 100.0, events)
    now = 100.0 + later
    wait = rate.wait(due, now)
    assert rate.count(due, now + wait, 1) is not None
    if wait > 1e-5:
        assert rate.count(due, now + 0.99 * wait - 2 * ROUNDING_SECONDS, 1) is None
