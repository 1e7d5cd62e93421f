"""Counting frames against a rate."""

from __future__ import annotations

from relay.clients.frame_rates import CONTROL_FRAMES, FRAGMENTS, FrameRate
from relay.clients.message_reader import MAX_FRAGMENTS

RATE = FrameRate(per_second=10, burst=20)


def test_a_burst_is_allowed_and_not_one_frame_more() -> None:
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


def test_honest_clients_have_room() -> None:
    """Ten pings a second for ever, and a message of as many small fragments as a message may have."""
    due: float | None = 0.0
    for tick in range(1000):
        assert due is not None
        due = CONTROL_FRAMES.count(due, tick / 10, 1)
    assert due is not None
    assert FRAGMENTS.count(0.0, 0.0, MAX_FRAGMENTS) is not None
