"""How long plain HTTP connections last. One look at all of them now and then, no timer for each."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

REQUEST_SECONDS = 30.0
"""For a request from its head to the end of its answer, and for the head of the next one; aiohttp has no such limit."""

IDLE_SECONDS = 15.0
"""How long a connection that is kept may wait for its next request; aiohttp's own timer, and a quiet close."""


@dataclass(slots=True)
class _Connection:
    transport: asyncio.Transport
    ends_at: float
    requests: int = 0


class Deadlines:
    """When each connection is dropped. A request that comes gives its connection new time, bytes alone don't."""

    def __init__(self) -> None:
        self._connections: dict[object, _Connection] = {}

    def add(self, handler: object, transport: asyncio.Transport, now: float) -> None:
        """Watch a connection from now on.

        Args:
            handler: aiohttp's protocol, by which requests name their connection.
            transport: of its socket.
            now: loop time, in seconds.
        """
        self._connections[handler] = _Connection(transport, now + REQUEST_SECONDS)

    def restart(self, handler: object, now: float) -> int:
        """Give a connection whose next request has come new time; return how many requests it has had."""
        connection = self._connections.get(handler)
        if connection is None:
            return 0
        connection.ends_at = now + REQUEST_SECONDS
        connection.requests += 1
        return connection.requests

    def expire(self, handlers: Iterable[object], now: float) -> None:
        """Drop the connections whose time is over, and forget those that are gone.

        Args:
            handlers: of all connections that are open.
            now: loop time, in seconds.
        """
        self._connections = {
            handler: connection for handler in handlers if (connection := self._connections.get(handler)) is not None
        }
        for connection in self._connections.values():
            if connection.ends_at <= now:
                connection.transport.abort()
