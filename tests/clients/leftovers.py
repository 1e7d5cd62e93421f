"""What connections leave in memory."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.server import ServerProtocol

from relay import Gateway
from relay.clients.client import Client
from relay.clients.long_poll import LongPoll
from tests.harness.conditions import wait_until
from tests.harness.live_objects import live_objects


@asynccontextmanager
async def leaving_nothing(gateway: Gateway) -> AsyncIterator[None]:
    """Check that all connections of a block are freed with their ends, without the garbage collector."""
    gc.collect()
    before = _left()
    gc.disable()
    try:
        yield
        await wait_until(lambda: gateway.counters.connections_open == 0)
        await wait_until(lambda: _left() == before)
    finally:
        gc.enable()


def _left() -> int:
    return live_objects(Client, LongPoll, ServerProtocol)
