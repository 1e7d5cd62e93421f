"""Raw clients of a gateway, and its ends of their connections."""

from __future__ import annotations

from contextlib import AsyncExitStack

from relay import Gateway
from relay.clients.websocket import WebSocket
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket


async def join(stack: AsyncExitStack, gateway: Gateway, target: str = "/ws/c") -> RawWebSocket:
    """Connect a client."""
    client = await stack.enter_async_context(RawWebSocket(gateway.port))
    assert (await client.upgrade(target)).status == 101
    return client


def connections(gateway: Gateway) -> list[WebSocket]:
    """Return the open connections of a gateway."""
    return [member for member in parts_of(gateway).context.registry if isinstance(member, WebSocket)]
