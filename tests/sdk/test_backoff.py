"""How long a client waits."""

from __future__ import annotations

import pytest

from relay.sdk.backoff import STEADY_SECONDS, Backoff


def test_bounds_double_up_to_the_longest() -> None:
    backoff = Backoff(5.0, uniform=lambda low, high: high)
    assert [backoff.pause() for _ in range(7)] == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert Backoff(0.1, uniform=lambda low, high: high).pause() == 0.1


def test_any_pause_up_to_the_bound_may_come() -> None:
    """So clients that lose a gateway together don't come back together."""
    assert Backoff(5.0, uniform=lambda low, high: low).pause() == 0.0
    pauses = [Backoff(5.0).pause() for _ in range(100)]
    assert all(0.0 <= pause <= 0.5 for pause in pauses)
    assert len(set(pauses)) == len(pauses)


@pytest.mark.parametrize(("lasted", "expected"), [(STEADY_SECONDS + 1, 0.5), (STEADY_SECONDS - 1, 4.0)])
def test_a_stream_that_lasted_makes_the_next_pause_short(lasted: float, expected: float) -> None:
    backoff = Backoff(5.0, uniform=lambda low, high: high)
    for _ in range(3):
        backoff.pause()
    assert backoff.pause(lasted_seconds=lasted) == expected


def test_what_a_gateway_asks_for_comes_on_top() -> None:
    assert Backoff(5.0, uniform=lambda low, high: high).pause(retry_after_seconds=3.0) == 3.5
