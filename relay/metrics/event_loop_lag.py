"""How late the event loop comes to what is due: everything that all clients wait for shows here."""

from __future__ import annotations

import asyncio
import time

from relay.metrics.histogram import Histogram

INTERVAL_SECONDS = 0.1


async def watch_event_loop(lag: Histogram) -> None:
    """Measure again and again, until cancelled.

    A stall hides the measurements that were due during it. They are made up for, each with what was left of the
    stall at its time: so a share of the measurements is a share of the time.

    Args:
        lag: where it is counted.
    """
    while True:
        due = time.monotonic() + INTERVAL_SECONDS
        await asyncio.sleep(INTERVAL_SECONDS)
        # uvloop's timers have whole milliseconds and may be early by a part of one.
        late = max(0.0, time.monotonic() - due)
        lag.observe(late)
        while (late := late - INTERVAL_SECONDS) > 0:
            lag.observe(late)
