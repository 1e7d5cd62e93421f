"""Rates of frames that carry no whole message."""

from __future__ import annotations

from relay.clients.frame_rates import CONTROL_FRAMES, FRAGMENTS
from relay.clients.message_reader import MAX_FRAGMENTS


def test_honest_clients_have_room() -> None:
    """Ten pings a second for ever, and a message of as many small fragments as a message may have."""
    due: float | None = 0.0
    for tick in range(1000):
        assert due is not None
        due = CONTROL_FRAMES.count(due, tick / 10, 1)
    assert due is not None
    assert FRAGMENTS.count(0.0, 0.0, MAX_FRAGMENTS) is not None
