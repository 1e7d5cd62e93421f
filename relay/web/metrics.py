"""`GET /metrics`, and how often its page is rendered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from relay.metrics.prometheus import render_metrics
from relay.web.app_keys import BUILD, SNAPSHOT, TakeSnapshot
from relay.web.health import SUPERVISOR_SILENT

PAGES_PER_SECOND: Final = 10.0
PAGES_AT_ONCE: Final = 20.0
"""How many pages are rendered, in the long run and in a burst: at most a twentieth of a processor in the long run."""


def add_routes(app: web.Application) -> None:
    """Serve `/metrics`."""
    app[_PAGES] = MetricsPages(app[SNAPSHOT], app[BUILD])
    app.router.add_get("/metrics", _metrics)


class MetricsPages:
    """Renders a page for each request up to a rate, and repeats the last page beyond it.

    A page costs 4 ms of the event loop, and any client of the port can ask for it. A repeated page is at most a tenth
    of a second old.

    Args:
        take: see `SNAPSHOT`.
        build: see `BUILD`.
        now: returns the time, in seconds.
    """

    def __init__(self, take: TakeSnapshot, build: Mapping[str, str], now: Callable[[], float] = time.monotonic) -> None:
        self._take = take
        self._build = build
        self._now = now
        self._allowed = PAGES_AT_ONCE
        self._since = now()
        self._rendering: asyncio.Task[bytes] | None = None

    async def page(self) -> bytes:
        """Return the page.

        Raises:
            TimeoutError: the supervisor does not answer; see `SNAPSHOT`.
        """
        now = self._now()
        self._allowed = min(PAGES_AT_ONCE, self._allowed + (now - self._since) * PAGES_PER_SECOND)
        self._since = now
        if self._rendering is None or self._allowed >= 1:
            self._allowed -= 1
            self._rendering = asyncio.create_task(self._render())
        # Shared with other requests: a client that disconnects must not cancel it for them.
        return await asyncio.shield(self._rendering)

    async def _render(self) -> bytes:
        return render_metrics(await self._take(), self._build)


_PAGES = web.AppKey("_PAGES", MetricsPages)


async def _metrics(request: web.Request) -> web.Response:
    """Answer with the counters and current values of the gateway."""
    try:
        body = await request.app[_PAGES].page()
    except TimeoutError:
        return web.Response(status=503, text=f"{SUPERVISOR_SILENT}\n")
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
