"""The connections whose transport is full, and for how long nothing has moved."""

from __future__ import annotations

import asyncio
from typing import Protocol

from relay.metrics.counters import Counters

CHECKS_PER_TIMEOUT = 4


class Writing(Protocol):
    """A connection that may not take what is written."""

    @property
    def stuck(self) -> int:
        """Bytes that the transport could not get rid of."""

    def abort(self) -> None:
        """Drop the socket at once."""


class WriteTimeouts:
    """Drops connections that make no progress.

    Keepalive leaves them alone: a ping would wait behind their data.

    Args:
        timeout: seconds without progress after which a connection is dropped.
        counters: where drops are counted, as WRITE_TIMEOUT.
    """

    def __init__(self, timeout: float, counters: Counters) -> None:
        self._timeout = timeout
        self._counters = counters
        self._waiting: dict[Writing, tuple[int, float]] = {}

    def __len__(self) -> int:
        """Return how many connections are stalled now."""
        return len(self._waiting)

    def add(self, connection: Writing) -> None:
        """Watch a connection whose transport has become full."""
        self._waiting[connection] = (connection.stuck, asyncio.get_running_loop().time())

    def discard(self, connection: Writing) -> None:
        """Watch it no more."""
        self._waiting.pop(connection, None)

    def check(self, now: float) -> None:
        """Drop those that have made no progress for the timeout.

        A close frame would not reach a client that doesn't read, so the socket is reset.

        Args:
            now: loop time, in seconds.
        """
        for connection, (stuck, since) in list(self._waiting.items()):
            left = connection.stuck
            if left < stuck:
                self._waiting[connection] = (left, now)
            elif now - since >= self._timeout:
                self._counters.disconnects["WRITE_TIMEOUT"] += 1
                self.discard(connection)
                connection.abort()

    async def run(self) -> None:
        """Check again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._timeout / CHECKS_PER_TIMEOUT)
            self.check(loop.time())
