"""A real HTTP server for what asks one: it may hang, babble, die, and come back on its port."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.harness.free_port import free_port

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def hang(request: web.Request) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    raise AssertionError


async def drip(request: web.Request) -> web.StreamResponse:
    """Answer a byte at a time, for ever."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.01)


def answering(status: int = 200, json: Any = None, *, text: str | None = None, **headers: str) -> Handler:
    """Return a handler that gives one answer.

    Args:
        status: HTTP status.
        json: the body, unless there is a text.
        text: the body.
        headers: of the answer; `_` stands for `-`.
    """

    async def answer(request: web.Request) -> web.StreamResponse:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if text is not None:
            return web.Response(status=status, text=text, headers=names)
        return web.json_response(json, status=status, headers=names)

    return answer


class HttpServer:
    """A server whose every path answers as its handler does. It keeps its port while it is stopped.

    Args:
        handler: answers.
        context: for TLS; None: plain HTTP.

    Attributes:
        handler: may be changed at any time.
        requests: how many have come.
        bodies: those of the requests.
        headers: those of the requests; names in lower case.
        at_once: requests that are being answered.
        most_at_once: the most of them so far.
    """

    def __init__(self, handler: Handler, context: ssl.SSLContext | None = None) -> None:
        self.handler = handler
        self.requests = 0
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.at_once = self.most_at_once = 0
        self.port = free_port()
        self._context = context
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{'http' if self._context is None else 'https'}://127.0.0.1:{self.port}/some/path"

    async def start(self) -> None:
        """Listen."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01, handler_cancellation=True)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=self._context, reuse_address=True).start()

    async def stop(self) -> None:
        """Close the port and all connections; nothing happens when it is stopped already."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        if self._runner is None:
            await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        self.requests += 1
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
            self.bodies.append(await request.read())
            return await self.handler(request)
        finally:
            self.at_once -= 1
