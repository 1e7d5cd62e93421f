"""What connections leave in memory."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.server import ServerProtocol

from relay import Gateway
from tests.harness.conditions import wait_until


@asynccontextmanager
async def leaving_nothing(gateway: Gateway) -> AsyncIterator[None]:
    """Check that all connections of a block are freed with their ends, without the garbage collector."""
    gc.collect()
    before = _protocols()
    gc.disable()
    try:
        yield
        await wait_until(lambda: gateway.counters.connections_open == 0)
        await wait_until(lambda: _protocols() == before)
    finally:
        gc.enable()


def _protocols() -> int:
    return sum(isinstance(thing, ServerProtocol) for thing in gc.get_objects())
