"""The log of a gateway's readiness."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from relay.logs import Logger

READINESS_SECONDS = 0.1
"""How often it is looked whether the gateway has become ready, or no longer is."""

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
        await asyncio.sleep(READINESS_SECONDS)
