"""Whatever happens to Redis or to the gateway: a message is delivered once, or its publisher hears that it was not."""

from __future__ import annotations

import asyncio
import random
import signal
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from relay import Gateway
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.history import Label, label_of, labelled
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, connected

TOLD = 1013


async def started(embedded: EmbeddedFactory, redis: RedisServer, **settings: float) -> Gateway:
    """Return a gateway that is ready."""
    (gateway,) = await embedded(1, broker_url=redis.url, **settings)
    await wait_until(lambda: gateway.ready)
    return gateway


async def test_a_drain_while_redis_is_gone_tells_publishers_that_nothing_was_published(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    gateway = await started(embedded, own_redis, publish_timeout=0.5)
    url = f"{gateway.url}/ws/a"
    async with connected(*[url] * 20) as publishers, connected(*[url] * 5) as listeners:
        own_redis.kill()
        await wait_until(lambda: not gateway.ready)
        for client in publishers:
            await client.send("in vain")
        await wait_until(lambda: gateway.counters.messages_received == 20)
        await gateway.drain()
        assert {await client.ended() for client in publishers} == {(TOLD, "bus unavailable")}
        assert {await client.ended() for client in listeners} == {(1001, "going away")}
    assert gateway.counters.publish_failures == {"BUS_UNAVAILABLE": 20}


async def test_a_drain_while_redis_is_silent_tells_publishers_that_nobody_knows(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    gateway = await started(embedded, own_redis, publish_timeout=0.3, broker_timeout=0.3)
    async with connected(*[f"{gateway.url}/ws/a"] * 20) as publishers:
        own_redis.pause()
        for client in publishers:
            await client.send("in doubt")
        await wait_until(lambda: gateway.counters.messages_received == 20)
        await gateway.drain()
        assert {(await client.ended())[0] for client in publishers} == {TOLD}
        own_redis.resume()


async def test_a_drain_waits_for_a_redis_that_comes_back(own_redis: RedisServer, embedded: EmbeddedFactory) -> None:
    gateway = await started(embedded, own_redis, publish_timeout=30, broker_timeout=30)
    other = await started(embedded, own_redis)
    async with connected(f"{other.url}/ws/a") as (listener,), connected(*[f"{gateway.url}/ws/a"] * 20) as publishers:
        own_redis.pause()
        for number, client in enumerate(publishers):
            await client.send(labelled(f"p{number}", 0))
        await wait_until(lambda: gateway.counters.messages_received == 20)
        draining = asyncio.create_task(gateway.drain())
        await wait_until(lambda: gateway._context is not None and gateway._context.draining)
        own_redis.resume()
        assert {await client.ended() for client in publishers} == {(1001, "going away")}
        await draining
        await listener.receive(20)
    assert not gateway.counters.publish_failures
