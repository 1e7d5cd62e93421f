"""What the HTTP connections of one port share: limits, counters, and the table of open connections."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from relay.logs import Logger
from relay.metrics.counters import Counters
from relay.pauses import pause
from relay.settings import Settings
from relay.web.open_connections import OpenConnections

EXPIRE_SECONDS: Final = 0.5
"""How often deadlines are checked: one look at all connections costs less than a timer for each."""

REQUEST_SECONDS: Final = 30.0
"""How long a request may take, from its head to the end of its response. aiohttp has no such limit."""

log = Logger("relay.http")


@dataclass(slots=True, eq=False)
class HttpPort:
    """What the connections of one port share.

    Args:
        server: aiohttp's; it answers the requests.
        counters: where refusals and dropped connections are counted.
        head_seconds: how long the head of a request may take to arrive.
        idle_seconds: how long a connection may wait for its next request.
        max_header_bytes: most bytes of the head of a request.
        max_headers: most headers of a request.
        loop: the event loop of the port.
        request_seconds: how long a request may take, from its head to the end of its response.

    Attributes:
        connections: those that are open.
    """

    server: web.Server
    counters: Counters
    head_seconds: float
    idle_seconds: float
    max_header_bytes: int
    max_headers: int
    loop: asyncio.AbstractEventLoop
    request_seconds: float = REQUEST_SECONDS
    connections: OpenConnections = field(init=False)

    def __post_init__(self) -> None:
        self.connections = OpenConnections(self.counters)

    async def expire(self) -> None:
        """End the connections whose deadline has passed, again and again, until cancelled."""
        while True:
            await pause(EXPIRE_SECONDS)
            self.connections.expire(self.loop.time())

    def drain(self) -> None:
        """Let each connection end after the answer that it is at."""
        for connection in self.connections:
            connection.drain()

    def refuse_tls(self, peer: str) -> None:
        """Count and log a client that speaks TLS.

        Args:
            peer: its address.
        """
        self.counters.connections_refused["tls"] += 1
        log.warning("TLS spoken to a port without it", remote=peer, use="ws:// and http://, or a proxy that ends TLS")


def open_port(runner: web.AppRunner, settings: Settings, counters: Counters) -> HttpPort:
    """Return what the connections of the clients' port share; call it inside the event loop.

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
