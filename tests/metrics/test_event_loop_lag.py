"""How late the event loop comes to what is due."""

from __future__ import annotations

import asyncio
import time

from relay.metrics.event_loop_lag import INTERVAL_SECONDS, watch_event_loop
from relay.metrics.histogram import BOUNDS, Histogram
from tests.harness.conditions import wait_until


def above(histogram: Histogram, seconds: float) -> int:
    """Return how many durations were longer than a bound."""
    return sum(histogram.counts[BOUNDS.index(seconds) + 1 :])


async def test_a_stall_counts_for_all_the_time_that_it_took() -> None:
    """One measurement for a stall of many intervals would hide it among those of quiet times."""
    lag = Histogram()
    task = asyncio.create_task(watch_event_loop(lag))
    await wait_until(lambda: lag.count >= 2)
    before = above(lag, 0.25)
    time.sleep(10 * INTERVAL_SECONDS)  # noqa: ASYNC251  # the stall
    await wait_until(lambda: above(lag, 0.25) > before)
    task.cancel()
    # 0.9 s late or more, then 0.8, 0.7 … 0.3
    assert above(lag, 0.25) - before >= 6
    assert lag.seconds >= 0.9 + 0.8 + 0.7 + 0.6 + 0.5 + 0.4 + 0.3
