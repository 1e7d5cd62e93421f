"""A port of its own for health and metrics."""

from __future__ import annotations

import asyncio
from typing import Final

from aiohttp import web

from relay.errors import RelayError
from relay.metrics.counters import Counters
from relay.web.app import make_runner
from relay.web.http_connection import HttpConnection
from relay.web.http_port import HttpPort
from relay.web.listen_addresses import resolve_addresses

MAX_CONNECTIONS: Final = 16
"""Connections at once: a few scrapers and probes. They must not use up the file descriptors that clients need."""

HEAD_SECONDS: Final = 5.0
"""How long a request may take to arrive, and how long a connection may wait for one."""

MAX_HEADER_BYTES: Final = 16_384
MAX_HEADERS: Final = 100


class MetricsPortError(RelayError, OSError):
    """The port for metrics can't be listened on; `errno` tells why."""


class MetricsPort:
    """Serves an HTTP application until it is closed, also while the gateway drains.

    When there are too many connections, the one that has left its request unfinished for longest is dropped.

    Args:
        app: the application.
        counters: where refusals are counted.
        head_seconds: how long a request may take to arrive.
    """

    def __init__(self, app: web.Application, counters: Counters, head_seconds: float = HEAD_SECONDS) -> None:
        self._app = app
        self._counters = counters
        self._head_seconds = head_seconds
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None
        self._expiring: asyncio.Task[None] | None = None

    async def start(self, hosts: list[str], port: int) -> None:
        """Listen; one that can't is closed already.

        Args:
            hosts: addresses or names; see `resolve_addresses`.
            port: TCP port.

        Raises:
            MetricsPortError: an address can't be used.
        """
        self._runner = await make_runner(self._app, MAX_HEADER_BYTES)
        assert self._runner.server is not None
        loop = asyncio.get_running_loop()
        shared = HttpPort(
            server=self._runner.server,
            counters=self._counters,
            head_seconds=self._head_seconds,
            idle_seconds=self._head_seconds,
            max_header_bytes=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
            loop=loop,
        )
        try:
            addresses = [address for _, address in (await resolve_addresses(hosts, port)).usable]
            self._listening = await loop.create_server(lambda: _MetricsConnection(shared), addresses, port)
        except OSError as error:
            await self.close()
            raise MetricsPortError(error.errno, f"can't listen on port {port} for metrics: {error.strerror}") from error
        self._expiring = loop.create_task(shared.expire(), name="metrics port")

    async def close(self) -> None:
        """Stop listening, and close all connections."""
        if self._expiring is not None:
            self._expiring.cancel()
            await asyncio.wait([self._expiring])
        if self._listening is not None:
            self._listening.close()
        if self._runner is not None:
            await self._runner.cleanup()


class _MetricsConnection(HttpConnection):
    """A connection to this port."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Make room if there are too many connections; called by the event loop."""
        super().connection_made(transport)
        connections = self._port.connections
        if len(connections) > MAX_CONNECTIONS:
            connections.evict()
