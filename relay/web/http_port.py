"""What the HTTP connections of a port share: limits, deadlines, and which of them are dropped when places run short."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from aiohttp import web

from relay.logs import Logger
from relay.metrics.counters import Counters
from relay.settings import Settings

EXPIRE_SECONDS = 0.25
"""How often deadlines are checked: one look at all connections, no timer for each."""

IDLE_CONNECTIONS = 1024
"""How many connections may wait for their next request; proxies keep some tens each. The oldest gives way."""

log = Logger("relay.http")


class Expiring(Protocol):
    """A connection with a deadline."""

    @property
    def in_handshake(self) -> bool:
        """Whether its first request is not read yet, waits for the bus, or was refused."""

    def expire(self) -> None:
        """End it: its time is over."""

    def drain(self) -> None:
        """End it if it is not being answered: the gateway says goodbye."""

    def abort(self) -> None:
        """Drop it at once."""


class HttpConnections:
    """The sockets of a port that speak HTTP, each with its deadline.

    Those for which the relay works keep their place. The others may lose it when places run short: first the one
    that has waited longest for its next request, then the one that has left its request unfinished, or its answer
    unread, for longest.

    Args:
        counters: where those are counted that lose their place.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._ends: dict[Expiring, float] = {}
        self._idle: dict[Expiring, None] = {}
        self._owing: dict[Expiring, None] = {}

    def __len__(self) -> int:
        """Return the number of sockets."""
        return len(self._ends)

    def __iter__(self) -> Iterator[Expiring]:
        """Go through the connections; they may leave meanwhile."""
        return iter(list(self._ends))

    @property
    def handshakes(self) -> int:
        """Number of connections whose first request is not answered, or refused."""
        return sum(connection.in_handshake for connection in self._ends)

    def mark_receiving(self, connection: Expiring, ends_at: float) -> None:
        """Note that a client has to go on: with its request, or to its end."""
        self.mark_busy(connection, ends_at)
        self._owing[connection] = None

    def mark_unread(self, connection: Expiring) -> None:
        """Note that a client doesn't take its answer; the deadline stays."""
        if connection in self._ends:
            self._owing[connection] = None

    def mark_idle(self, connection: Expiring, ends_at: float) -> None:
        """Note that a client's request is answered, and that it may send another."""
        self.mark_busy(connection, ends_at)
        self._idle[connection] = None
        if len(self._idle) > IDLE_CONNECTIONS:
            self.evict()

    def mark_busy(self, connection: Expiring, ends_at: float) -> None:
        """Note that the relay has a whole request, and works on it.

        Args:
            connection: new, or one of these.
            ends_at: loop time in seconds; see `Expiring.expire`.
        """
        self._ends[connection] = ends_at
        self._idle.pop(connection, None)
        self._owing.pop(connection, None)

    def remove(self, connection: Expiring) -> None:
        """Forget a connection that has ended, or speaks something else."""
        self._ends.pop(connection, None)
        self._idle.pop(connection, None)
        self._owing.pop(connection, None)

    def evict(self) -> bool:
        """Drop the connection that asks for nothing and has done so for longest; return whether there was one."""
        oldest = next(iter(self._idle or self._owing), None)
        if oldest is None:
            return False
        self._counters.http_connections_evicted += 1
        self.remove(oldest)
        oldest.abort()
        return True

    def expire(self, now: float) -> None:
        """End the connections whose time is over.

        Args:
            now: loop time, in seconds.
        """
        for connection in [connection for connection, ends_at in self._ends.items() if ends_at <= now]:
            connection.expire()


@dataclass(slots=True, eq=False)
class HttpPort:
    """What the connections of one port share.

    Args:
        server: aiohttp's; it answers the requests.
        counters: where refusals, and connections that lose their place, are counted.
        head_seconds: in which the head of a request must have come.
        idle_seconds: for which a connection may wait for its next request.
        max_header_bytes: of the head of a request.
        max_headers: of a request.
        loop: the event loop that all of this runs on.
    """

    server: web.Server
    counters: Counters
    head_seconds: float
    idle_seconds: float
    max_header_bytes: int
    max_headers: int
    loop: asyncio.AbstractEventLoop
    connections: HttpConnections = field(init=False)

    def __post_init__(self) -> None:
        self.connections = HttpConnections(self.counters)

    async def expire(self) -> None:
        """End the connections whose deadline has passed, again and again, until cancelled."""
        while True:
            await asyncio.sleep(EXPIRE_SECONDS)
            self.connections.expire(self.loop.time())

    def note_tls(self, peer: str) -> None:
        """Count and log a client that speaks TLS.

        Args:
            peer: its address.
        """
        self.counters.connections_refused["tls"] += 1
        log.warning("TLS spoken to a port without it", remote=peer, use="ws:// and http://, or a proxy that ends TLS")


def open_port(runner: web.AppRunner, settings: Settings, counters: Counters) -> HttpPort:
    """Return what the connections of the port that clients use share; arguments as for `HttpPort`.

    Args:
        runner: of the application, set up.
        settings: of the gateway.
        counters: of the gateway.
    """
    assert runner.server is not None
    return HttpPort(
        server=runner.server,
        counters=counters,
        head_seconds=settings.handshake_timeout,
        idle_seconds=settings.keepalive_timeout,
        max_header_bytes=settings.max_header_bytes,
        max_headers=settings.max_headers,
        loop=asyncio.get_running_loop(),
    )
