"""Closing many clients at an even pace, so that they don't all come back at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from relay.errors import Disconnect


class Closable(Protocol):
    """What is drained."""

    def close(self, disconnect: Disconnect) -> None:
        """Begin the closing handshake."""


async def close_evenly(connections: Sequence[Closable], seconds: float, flush: Callable[[], None]) -> None:
    """Close connections with `Disconnect.GOING_AWAY`, one after the other.

    Args:
        connections: those that are open now.
        seconds: from the first to the last, evenly spread.
        flush: delivers what was received so far; called before each close, as nothing can follow a close frame.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    for number, connection in enumerate(connections):
        await asyncio.sleep(max(0.0, start + seconds * number / len(connections) - loop.time()))
        flush()
        connection.close(Disconnect.GOING_AWAY)
