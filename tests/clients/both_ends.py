"""Both ends of a WebSocket."""

from __future__ import annotations

from contextlib import AsyncExitStack

from relay import Gateway
from relay.clients.websocket import WebSocket
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket


async def join_both(stack: AsyncExitStack, gateway: Gateway, target: str = "/ws/c") -> tuple[RawWebSocket, WebSocket]:
    """Connect a client; return both ends."""
    before = set(parts_of(gateway).context.registry)
    client = await stack.enter_async_context(RawWebSocket(gateway.port))
    assert (await client.upgrade(target)).status == 101
    (connection,) = set(parts_of(gateway).context.registry) - before
    assert isinstance(connection, WebSocket)
    return client, connection
