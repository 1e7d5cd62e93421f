"""A gateway that runs out of file descriptors waits for better times, without dying and without spinning."""

from __future__ import annotations

import asyncio
import resource
from contextlib import AsyncExitStack

import pytest

from tests.conftest import GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.gateway_process import GatewayProcess
from tests.harness.http_response import get
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_running_out_of_descriptors_is_survived(
    redis_server: RedisServer, prefix: str, gateways: GatewayFactory, event_loop: str
) -> None:
    (gateway,) = await gateways(1, broker_url=redis_server.url, broker_prefix=prefix, event_loop=event_loop)
    async with connected(f"{gateway.url}/ws/a", f"{gateway.url}/ws/a") as (one, two):
        limit = gateway.descriptors + 20
        gateway.limit_descriptors(limit)
        async with AsyncExitStack() as stack:
            for _ in range(60):
                await stack.enter_async_context(RawWebSocket(gateway.port))
            await wait_until(lambda: gateway.records("accepting paused"))
            size, cpu = len(gateway.output), gateway.cpu_seconds
            await asyncio.sleep(1.0)  # the time over which processor time is measured
            assert gateway.cpu_seconds - cpu < 0.3, "it spins"
            assert len(gateway.output) - size < 5_000, "it floods its log"
            # Who is connected is served as before, and who asks for something has a place.
            assert (await get(gateway.port, "/healthz")).status == 200
            await one.send("still here")
            assert await two.receive(1) == ["still here"]
        await wait_until(lambda: gateway.descriptors < limit)
        async with connected(f"{gateway.url}/ws/a") as (three,):
            await three.send("after")
            assert await two.receive(2) == ["still here", "after"]


async def test_the_limit_of_connections_follows_the_limit_of_descriptors(cluster: list[GatewayProcess]) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for gateway in cluster:
        (record,) = gateway.records("listening")
        assert 0 < record["max_connections"] < hard
