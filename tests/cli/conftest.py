"""Fixtures of the command's tests: an environment without settings, and a server that stands in for a gateway."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from aiohttp import web
from aiohttp.test_utils import TestServer

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
StandIn = Callable[[Handler], Awaitable[str]]


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Start without settings and colours, in an empty working folder, with help of a fixed width."""
    for name in [name for name in os.environ if name.upper().startswith("RELAY_")]:
        monkeypatch.delenv(name)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    """Keep a gateway inside the test's process from writing into the output of the command."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.reset_defaults()


@pytest_asyncio.fixture
async def stand_in() -> AsyncIterator[StandIn]:
    """Start a server that answers every request as the test says: `url = await stand_in(handler)`."""
    async with AsyncExitStack() as stack:

        async def start(handler: Handler) -> str:
            app = web.Application()
            app.router.add_get("/{path:.*}", handler)
            server = TestServer(app, host="127.0.0.1")
            await stack.enter_async_context(server)
            return f"ws://127.0.0.1:{server.port}"

        yield start
