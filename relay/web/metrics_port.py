"""A port of its own for those who watch the gateway."""

from __future__ import annotations

import asyncio

from aiohttp import web

from relay.metrics.counters import Counters
from relay.web.app import make_runner
from relay.web.http_connection import HttpConnection
from relay.web.http_port import HttpPort
from relay.web.listen_addresses import resolve_addresses

VISITORS = 16
"""Connections at once: a few scrapers and probes. They must not use up the files that clients need."""

HEAD_SECONDS = 5.0
"""In which a visitor must have sent its request."""

MAX_HEADER_BYTES = 16_384
MAX_HEADERS = 100


class MetricsPortError(OSError):
    """The port for metrics can't be listened on; `errno` says why."""


class MetricsPort:
    """Serves an HTTP application on some addresses until it is closed, a drain included.

    When all places are taken, the visitor gives way that has left its request unfinished for longest.

    Args:
        app: the application.
        counters: where refusals are counted.
    """

    def __init__(self, app: web.Application, counters: Counters) -> None:
        self._app = app
        self._counters = counters
        self._runner: web.AppRunner | None = None
        self._listening: asyncio.Server | None = None
        self._expiring: asyncio.Task[None] | None = None

    async def start(self, hosts: list[str], port: int) -> None:
        """Listen.

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
            head_seconds=HEAD_SECONDS,
            idle_seconds=HEAD_SECONDS,
            max_header_bytes=MAX_HEADER_BYTES,
            max_headers=MAX_HEADERS,
            loop=loop,
        )
        try:
            addresses = [address for _, address in (await resolve_addresses(hosts, port)).usable]
            self._listening = await loop.create_server(lambda: _Visit(shared), addresses, port)
        except OSError as error:
            raise MetricsPortError(error.errno, f"can't listen on port {port} for metrics: {error.strerror}") from error
        self._expiring = loop.create_task(shared.expire(), name="metrics port")

    async def close(self) -> None:
        """Answer no more, and end the visits."""
        if self._expiring is not None:
            self._expiring.cancel()
            await asyncio.wait([self._expiring])
        if self._listening is not None:
            self._listening.close()
        if self._runner is not None:
            await self._runner.cleanup()


class _Visit(HttpConnection):
    """A connection to this port."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place; called by the event loop."""
        super().connection_made(transport)
        connections = self._port.connections
        if len(connections) > VISITORS:
            connections.evict()
