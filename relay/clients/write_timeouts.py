"""Write timeouts: clients whose transport is full, and that have taken nothing for too long."""

from __future__ import annotations

import asyncio
from typing import Protocol

from relay.metrics.counters import Counters

CHECKS_PER_TIMEOUT = 4


class Writing(Protocol):
    """A client whose transport can be full."""

    @property
    def stuck(self) -> int:
        """Bytes that the transport could not get rid of."""

    def abort(self) -> None:
        """Drop the socket at once."""


class WriteTimeouts:
    """Drops clients that read nothing of what is written to them.

    Keepalive leaves them alone: a ping would wait behind their data.

    Args:
        timeout: seconds without progress after which a client is dropped.
        counters: where drops are counted, as WRITE_TIMEOUT.
    """

    def __init__(self, timeout: float, counters: Counters) -> None:
        self._timeout = timeout
        self._counters = counters
        self._waiting: dict[Writing, tuple[int, float]] = {}

    def __len__(self) -> int:
        """Return how many clients have a full transport now."""
        return len(self._waiting)

    def add(self, client: Writing) -> None:
        """Watch a client whose transport has become full."""
        self._waiting[client] = (client.stuck, asyncio.get_running_loop().time())

    def discard(self, client: Writing) -> None:
        """Watch a client no more: its transport has room again, or it has gone."""
        self._waiting.pop(client, None)

    def check(self, now: float) -> None:
        """Drop the clients that have made no progress for the timeout.

        A close frame would not reach a client that doesn't read, so the socket is reset.

        Args:
            now: loop time, in seconds.
        """
        for client, (stuck, since) in list(self._waiting.items()):
            left = client.stuck
            if left < stuck:
                self._waiting[client] = (left, now)
            elif now - since >= self._timeout:
                self._counters.disconnects["WRITE_TIMEOUT"] += 1
                self.discard(client)
                client.abort()

    async def run(self) -> None:
        """Check again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(self._timeout / CHECKS_PER_TIMEOUT)
            self.check(loop.time())
