"""A port of its own for those who watch the gateway."""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web

from relay.web.addresses import find_addresses

VISITORS = 16
"""Connections at once: a few scrapers and probes. They must not use up the files that clients need."""

VISIT_SECONDS = 30.0
"""How long a connection may last; aiohttp has no deadline for a request."""


class MetricsPortTaken(OSError):
    """The port for metrics can't be listened on; `errno` says why."""


class MetricsPort:
    """Serves an HTTP application on some addresses until it is closed, a drain included.

    Args:
        runner: of the application, set up already.
    """

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self._listening: asyncio.Server | None = None

    async def start(self, hosts: list[str], port: int) -> None:
        """Listen.

        Args:
            hosts: addresses or names; see `find_addresses`.
            port: TCP port.

        Raises:
            MetricsPortTaken: an address can't be used.
        """
        server = self._runner.server
        assert server is not None
        try:
            addresses = [address for _, address in (await find_addresses(hosts, port)).usable]
            self._listening = await asyncio.get_running_loop().create_server(lambda: _Visit(server), addresses, port)
        except OSError as error:
            raise MetricsPortTaken(error.errno, f"can't listen on port {port} for metrics: {error.strerror}") from error

    async def close(self) -> None:
        """Answer no more, and end the visits."""
        if self._listening is not None:
            self._listening.close()
        await self._runner.cleanup()


class _Visit(asyncio.Protocol):
    """A fresh socket, on its way to aiohttp."""

    def __init__(self, server: web.Server) -> None:
        self._server = server

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Let aiohttp go on, for a while; called by the event loop."""
        taken = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        if len(self._server.connections) >= VISITORS:
            taken.abort()
            return
        asyncio.get_running_loop().call_later(VISIT_SECONDS, taken.abort)
        handler = self._server()
        taken.set_protocol(handler)
        handler.connection_made(taken)
