"""Bus subscriptions follow the clients: one per channel and gateway, however clients come and go."""

from __future__ import annotations

import asyncio

from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.deployment import Deployment
from tests.harness.gateway_process import GatewayProcess
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, connected

UNSUBSCRIBE_SECONDS = 4.0
"""Time in which Redis must have been told that nobody listens any more; the relay waits about one second."""


async def test_concurrent_first_subscribers_all_hear(cluster: list[GatewayProcess], channel: str) -> None:
    for number in range(10):
        name = f"{channel}-{number}"
        urls = [f"{gateway.url}/ws/{name}" for gateway in cluster for _ in range(5)]
        async with connected(*urls) as (sender, *others):
            await sender.send("hello")
            for client in others:
                assert await client.receive(1) == ["hello"]


async def test_redis_sees_one_subscription_per_gateway(
    cluster: list[GatewayProcess], channel: str, redis_server: RedisServer
) -> None:
    name = f"relay:{channel}"
    async with connected(*[f"{gateway.url}/ws/{channel}" for gateway in cluster] * 5):
        assert redis_server.subscriptions(name) == 3
    await wait_until(lambda: redis_server.subscriptions(name) == 0, UNSUBSCRIBE_SECONDS)


async def test_flapping_clients_hardly_reach_redis(deployment: Deployment) -> None:
    redis = deployment.redis
    before = redis.calls("subscribe"), redis.calls("unsubscribe")

    async def flap(url: str, times: int) -> None:
        for number in range(times):
            client = await WebSocketClient.connect(url)
            await (client.close() if number % 2 else client.abort())

    async with connected(*deployment.urls("steady")) as (one, two):
        await asyncio.gather(*(flap(url, 50) for url in deployment.urls("flapping") * 3))
        await one.send("still here")
        assert await two.receive(1) == ["still here"]
        await wait_until(lambda: redis.subscriptions("relay:flapping") == 0, UNSUBSCRIBE_SECONDS)
    # 300 comings and goings; a run is shorter than a few times the delay of one second.
    assert redis.calls("subscribe") - before[0] <= 12
    assert redis.calls("unsubscribe") - before[1] <= 12


async def test_a_channel_that_comes_and_goes_works_every_time(
    cluster: list[GatewayProcess], channel: str, redis_server: RedisServer
) -> None:
    """Also when a client comes back just as the gateway unsubscribes."""
    name = f"relay:{channel}"
    for _ in range(2):
        async with connected(f"{cluster[0].url}/ws/{channel}", f"{cluster[1].url}/ws/{channel}") as (one, two):
            await one.send("hello")
            assert await two.receive(1) == ["hello"]
        await wait_until(lambda: redis_server.subscriptions(name) < 2, UNSUBSCRIBE_SECONDS)
    async with connected(f"{cluster[0].url}/ws/{channel}", f"{cluster[1].url}/ws/{channel}") as (one, two):
        await two.send("again")
        assert await one.receive(1) == ["again"]


async def test_a_thousand_channels_work_side_by_side(deployment: Deployment) -> None:
    redis = deployment.redis
    names = [f"wide-{number}" for number in range(1000)]
    clients: list[WebSocketClient] = []
    try:
        for start in range(0, 1000, 100):
            urls = [url for name in names[start : start + 100] for url in deployment.urls(name)]
            clients += await asyncio.gather(*map(WebSocketClient.connect, urls))
        assert redis.channels("relay:wide-*") == 1000
        for number, name in enumerate(names):
            await clients[2 * number + number % 2].send(name)
        for number, name in enumerate(names):
            assert await clients[2 * number + (number + 1) % 2].receive(1) == [name]
            assert clients[2 * number + number % 2].received == []
    finally:
        await asyncio.gather(*(client.abort() for client in clients))
    await wait_until(lambda: redis.channels("relay:wide-*") == 0, UNSUBSCRIBE_SECONDS)


async def test_hub_and_counters_are_empty_after_the_last_client(
    embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str
) -> None:
    (gateway,) = await embedded(1, broker_url=redis_server.url, broker_prefix=prefix)
    await wait_until(lambda: gateway.ready)
    async with connected(*[f"{gateway.url}/ws/{number % 5}" for number in range(20)]):
        assert gateway.counters.connections_open == 20
        assert redis_server.channels(f"{prefix}[0-9]") == 5
    await wait_until(lambda: gateway.counters.connections_open == 0)
    await wait_until(lambda: redis_server.channels(f"{prefix}[0-9]") == 0, UNSUBSCRIBE_SECONDS)


async def test_prefixes_keep_deployments_apart(embedded: EmbeddedFactory, redis_server: RedisServer) -> None:
    (one,) = await embedded(1, broker_url=redis_server.url, broker_prefix="one:")
    (two,) = await embedded(1, broker_url=redis_server.url, broker_prefix="two:")
    async with connected(f"{one.url}/ws/a", f"{one.url}/ws/a", f"{two.url}/ws/a") as (sender, neighbour, stranger):
        await sender.send("ours")
        assert await neighbour.receive(1) == ["ours"]
        assert await stays_true(lambda: not stranger.received, 0.1)
