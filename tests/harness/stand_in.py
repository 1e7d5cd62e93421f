"""A server that stands in for a gateway, and answers as a test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
StandIn = Callable[[Handler], Awaitable[str]]


@pytest_asyncio.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    """Start a server that answers every request as the test says: `url = await stand_in(handler)`."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler) -> str:
            app = web.Application()
            app.router.add_route("*", "/{path:.*}", handler)
            server = TestServer(app, host="127.0.0.1")
            await stack.enter_async_context(server)
            return f"ws://127.0.0.1:{server.port}"

        yield start
