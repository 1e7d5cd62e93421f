"""Clients that come to a gateway with limits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from relay import Gateway
from tests.gateway.admissions import SUBSCRIBERS, WAYS
from tests.harness.http_response import HttpResponse
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket


def gateway_time() -> float:
    """Return the time of the gateway's clock."""
    return asyncio.get_running_loop().time()


every_subscriber = pytest.mark.parametrize("way", SUBSCRIBERS)


def counted(gateway: Gateway) -> int:
    """Return how many addresses and users the gateway counts clients of."""
    return len(parts_of(gateway).front_door.limits.connections)


async def come(stack: AsyncExitStack, gateway: Gateway, way: str, *headers: str) -> HttpResponse:
    """Ask to come in, and stay."""
    client = await stack.enter_async_context(RawWebSocket(gateway.port))
    head, _, body = WAYS[way].partition(b"\r\n\r\n")
    extra = "".join(f"\r\n{header}" for header in headers).encode()
    await client.send(head + extra + b"\r\n\r\n" + body)
    return await client.response()


@asynccontextmanager
async def staying() -> AsyncIterator[AsyncExitStack]:
    """Keep the clients of a test until its end."""
    async with AsyncExitStack() as stack:
        yield stack
