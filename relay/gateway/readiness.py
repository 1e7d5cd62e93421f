"""What a gateway logs from time to time: changes of its readiness, and how many log entries were left out."""

from __future__ import annotations

from collections.abc import Callable

from relay.logs import Logger, log_left_out
from relay.pauses import pause

STARTING_SECONDS = 0.1
"""Pause between two looks at the readiness while the gateway isn't ready."""

READINESS_SECONDS = 0.5
"""Pause while it is."""

LEFT_OUT_SECONDS = 1.0
"""Pause between two looks at the number of entries that were left out; see `relay.logs.rate`."""

log = Logger("relay.gateway")


async def report_readiness(draining: Callable[[], bool], problems: Callable[[], list[str]]) -> None:
    """Log when the gateway becomes ready, and when it no longer is, until it is drained.

    Args:
        draining: tells whether it sends its clients away.
        problems: tells what keeps it from serving clients.
    """
    reported: bool | None = None
    while not draining():
        reasons = problems()
        if reasons and reported:
            log.warning("not ready", reasons=reasons)
        elif reasons and reported is None:
            log.info("starting", reasons=reasons)
        elif not reasons and not reported:
            log.info("ready")
        reported = not reasons
        await pause(READINESS_SECONDS if reported else STARTING_SECONDS)


async def report_left_out(seconds: float = LEFT_OUT_SECONDS) -> None:
    """Log what was left out of the log, again and again, until cancelled: the next entry may be hours away."""
    while True:
        await pause(seconds)
        log_left_out()
