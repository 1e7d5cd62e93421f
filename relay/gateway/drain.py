"""Closing many clients at an even pace, so that they don't all come back at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from relay.errors import Disconnect

LOG_SECONDS = 1.0


class Closable(Protocol):
    """What is drained."""

    def close(self, disconnect: Disconnect) -> None:
        """Begin the closing handshake."""


async def close_evenly(connections: Sequence[Closable], seconds: float) -> None:
    """Close connections with `Disconnect.GOING_AWAY`, one after the other.

    Args:
        connections: those that are open now.
        seconds: from the first to the last, evenly spread.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number, connection in enumerate(connections):
        wait = start + seconds * number / len(connections) - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        connection.close(Disconnect.GOING_AWAY)
