"""Redis dies and comes back: what is lost is announced, and everything heals by itself."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.deployment import Deployment
from tests.harness.numbered_publisher import NumberedPublisher
from tests.harness.outage import Outage, check_around_outage
from tests.harness.readiness import all_told_ready
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, connected

REASONS = {(1013, "delivery unknown"), (1013, "bus unavailable")}
"""What a publisher may be told."""


async def test_a_restart_under_load_duplicates_nothing_and_loses_only_during_the_outage(deployment: Deployment) -> None:
    redis, pair = deployment.redis, deployment.gateways
    urls, losses, gaps = deployment.urls("news"), deployment.count("bus lost"), deployment.count("gap")
    async with connected(*urls * 2) as listeners, AsyncExitStack() as stack:
        publishers = [NumberedPublisher(url, f"p{number}", per_second=100) for number, url in enumerate(urls * 3)]
        for publisher in publishers:
            await stack.enter_async_context(publisher)
        await wait_until(lambda: all(len(client.received) > 200 for client in listeners), 10)
        outage = Outage(client.received for client in listeners)
        redis.kill()
        await all_told_ready(pair, False)
        await asyncio.to_thread(redis.start)
        await all_told_ready(pair)
        outage.end()
        for client in listeners:
            await client.receive(len(client.received) + 300, within=10)
        await asyncio.gather(*(publisher.stop() for publisher in publishers))
        await check_around_outage(listeners, publishers, outage)
        assert {ending for publisher in publishers for ending in publisher.endings} <= REASONS
    assert all(now > before for now, before in zip(deployment.count("bus lost"), losses, strict=True))
    assert all(now > before for now, before in zip(deployment.count("gap"), gaps, strict=True))


async def test_readiness_tells_why(deployment: Deployment) -> None:
    redis, pair = deployment.redis, deployment.gateways
    redis.kill()
    for gateway in pair:
        answer = await gateway.ready(False, within=2)
        assert answer.status == 503
        assert answer.json["ready"] is False
        assert any("bus" in reason for reason in answer.json["reasons"])
    redis.start()
    for gateway in pair:
        assert (await gateway.ready()).json["reasons"] == []


async def test_a_gateway_may_start_before_its_redis(own_redis: RedisServer, gateways: GatewayFactory) -> None:
    own_redis.kill()
    started = asyncio.create_task(gateways(2, broker_url=own_redis.url))
    await wait_until(lambda: not started.done(), 1)
    await asyncio.to_thread(own_redis.start)
    one, two = await started
    async with connected(f"{one.url}/ws/a", f"{two.url}/ws/a") as (sender, receiver):
        await sender.send("hello")
        assert await receiver.receive(1) == ["hello"]


async def test_every_channel_is_subscribed_again(deployment: Deployment) -> None:
    redis, (one, two) = deployment.redis, deployment.gateways
    names = [f"many-{number}" for number in range(600)]
    async with (
        connected(*(f"{one.url}/ws/{name}" for name in names)) as senders,
        connected(*(f"{two.url}/ws/{name}" for name in names)) as receivers,
    ):
        await asyncio.to_thread(redis.restart)
        await all_told_ready(deployment.gateways)
        # Ready may be what it was before the loss was noticed; the subscriptions can't be.
        keys = [f"relay:{name}" for name in names]
        await wait_until(lambda: sum(count for _, count in redis.admin.pubsub_numsub(*keys)) == 1200)
        for sender, name in zip(senders, names, strict=True):
            await sender.send(name)
        for receiver, name in zip(receivers, names, strict=True):
            assert await receiver.receive(1) == [name]


async def test_a_client_that_comes_during_the_outage_is_let_in_when_it_is_over(deployment: Deployment) -> None:
    redis, pair = deployment.redis, deployment.gateways
    redis.kill()
    await all_told_ready(pair, False)
    waiting = [asyncio.create_task(WebSocketClient.connect(f"{gateway.url}/ws/new")) for gateway in pair]
    await asyncio.to_thread(redis.start)
    one, two = await asyncio.gather(*waiting)
    await one.send("hello")
    assert await two.receive(1) == ["hello"]
    await asyncio.gather(one.abort(), two.abort())


async def test_losses_connects_and_gaps_are_counted(own_redis: RedisServer, embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url)
    await wait_until(lambda: gateway.ready)
    assert (gateway.counters.bus_losses, gateway.counters.gaps) == (0, 0)
    connects = gateway.counters.bus_connects
    async with connected(f"{gateway.url}/ws/a", f"{gateway.url}/ws/b"):
        await asyncio.to_thread(own_redis.restart)
        await wait_until(lambda: gateway.counters.gaps == 1)
        assert gateway.counters.gap_channels == 2
        assert gateway.counters.bus_losses >= 2
        await wait_until(lambda: gateway.ready)
        assert gateway.counters.bus_connects > connects
