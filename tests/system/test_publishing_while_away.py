"""What clients publish while Redis is away goes out in order when it is back, or they are told."""

from __future__ import annotations

import asyncio
import time
from functools import partial

import pytest

from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.deployment import EVENT_LOOPS, Deployment
from tests.harness.history import check_history, labelled
from tests.harness.http_response import get
from tests.harness.outage import STAYING
from tests.harness.readiness import Listening, all_told_ready
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import KEY, call, publish
from tests.harness.websocket_client import WebSocketClient, connected


async def lose(redis: RedisServer, *gateways: Listening) -> None:
    """Kill Redis and wait until the gateways know."""
    redis.kill()
    await all_told_ready(gateways, False)


def is_waiting(client: WebSocketClient) -> bool:
    """Return whether a client is open and has received nothing."""
    return client.is_open and not client.received


async def test_messages_wait_for_redis_and_go_out_in_order(deployment: Deployment) -> None:
    redis, pair = deployment.redis, deployment.gateways
    for gateway in pair:
        channel = f"on-{gateway.port}"
        async with connected(*[f"{gateway.url}/ws/{channel}"] * 3, f"{gateway.url}/ws/{channel}?echo=1") as clients:
            one, two, listener, echoing = clients
            await lose(redis, gateway)
            for number in range(200):
                await one.send(labelled("one", number))
                await two.send(labelled("two", number))
                await echoing.send(labelled("three", number))
            assert await stays_true(partial(is_waiting, listener), 0.3)
            await asyncio.to_thread(redis.start)
            await listener.receive(600, within=10)
            sent = {"one": 200, "two": 200, "three": 200}
            assert not check_history(listener.received, sent)
            assert not check_history(await echoing.receive(600), sent)
            assert one.is_open
            assert two.is_open


async def test_past_the_timeout_publishers_are_closed_with_a_reason(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    pair = await embedded(2, **STAYING, broker_url=own_redis.url, publish_timeout=0.8)
    await all_told_ready(pair)
    urls = [f"{gateway.url}/ws/a" for gateway in pair]
    async with connected(*urls) as senders, connected(*urls) as listeners:
        await lose(own_redis, *pair)
        began = time.monotonic()
        for sender in senders:
            await sender.send("in vain")
        for sender in senders:
            assert await sender.ended() == (1013, "bus unavailable")
        assert time.monotonic() - began > 0.7
        assert all(client.is_open for client in listeners)
        await asyncio.to_thread(own_redis.start)
        await all_told_ready(pair)
        # Nobody hears the message whose publisher was told that it failed.
        await listeners[0].send("after")
        assert await listeners[1].receive(1) == ["after"]


async def test_a_publisher_is_slowed_not_buffered_without_bound(deployment: Deployment) -> None:
    """The gateway stops reading: the publisher's own send blocks, and the gateway's memory stays."""
    redis, pair = deployment.redis, deployment.gateways
    for gateway in pair:
        async with connected(f"{gateway.url}/ws/a") as (sender,):
            await lose(redis, gateway)
            before = gateway.rss_bytes
            flood = asyncio.create_task(send_flood(sender))
            done, _ = await asyncio.wait({flood}, timeout=1.0)
            assert not done
            assert gateway.rss_bytes - before < 24_000_000
            flood.cancel()
            await asyncio.gather(flood, return_exceptions=True)
        await asyncio.to_thread(redis.start)
        await gateway.ready()


async def send_flood(sender: WebSocketClient) -> None:
    """Send up to 64 MB."""
    for _ in range(1000):
        await sender.send(bytes(64_000))


async def test_publishers_wait_for_room_and_none_is_refused(own_redis: RedisServer, embedded: EmbeddedFactory) -> None:
    """Each sends more than the whole buffer; what finds no room stays with its client, in its order."""
    (gateway,) = await embedded(1, **STAYING, broker_url=own_redis.url, publish_buffer_bytes=65_536, publish_timeout=60)
    await wait_until(lambda: gateway.ready)
    url = f"{gateway.url}/ws/a"
    async with connected(url) as (listener,), connected(*[url] * 20) as senders:
        own_redis.kill()
        await wait_until(lambda: not gateway.ready)
        for number in range(100):
            await asyncio.gather(*(sender.send(labelled(f"p{n}", number, 1000)) for n, sender in enumerate(senders)))
        gauges = (await gateway.snapshot()).gauges
        assert 0 < gauges.bus_buffer_bytes["clients"] < 40_000
        assert gauges.paused_publishers == 20
        await asyncio.to_thread(own_redis.start)
        await listener.receive(2000)
        assert not check_history(listener.received, {f"p{n}": 100 for n in range(20)})
        assert all(sender.is_open for sender in senders)
    assert not gateway.counters.publish_failures


async def test_who_found_no_room_is_told_too_when_redis_stays_away(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    """Not only those whose messages wait in the relay: the others must not wait for ever."""
    (gateway,) = await embedded(
        1, **STAYING, broker_url=own_redis.url, publish_buffer_bytes=65_536, publish_timeout=0.1
    )
    await wait_until(lambda: gateway.ready)
    async with connected(*[f"{gateway.url}/ws/a"] * 10) as senders:
        own_redis.kill()
        await wait_until(lambda: not gateway.ready)
        for sender in senders:
            await sender.send(bytes(20_000))
        assert {await sender.ended() for sender in senders} == {(1013, "bus unavailable")}


@pytest.mark.parametrize("event_loop", EVENT_LOOPS)
async def test_posts_of_strangers_take_nothing_from_others(
    own_redis: RedisServer, gateways: GatewayFactory, event_loop: str
) -> None:
    """They fill their share to the last byte while Redis stands still; clients and back ends have theirs."""
    (gateway,) = await gateways(
        1,
        broker_url=own_redis.url,
        broker_timeout=60,
        publish_timeout=60,
        publish_buffer_bytes=400_000,
        api_keys=KEY,
        event_loop=event_loop,
    )
    async with connected(*[f"{gateway.url}/ws/a"] * 31) as (listener, *senders):
        own_redis.pause()
        # Two of the large ones reach the limit of their share; after them there is no room for a single byte.
        sizes = [60_000] * 4 + [1] * 20
        posts = [asyncio.create_task(publish(gateway.port, "/publish/b", bytes(size))) for size in sizes]
        await wait_until(lambda: sum(post.done() for post in posts) == 22)
        for number in range(20):
            for n, sender in enumerate(senders):
                await sender.send(labelled(f"p{n}", number, 5_000))
        asked = asyncio.create_task(call(gateway.port, "publish", {"channel": "c", "data": 1}))
        assert await stays_true(lambda: not asked.done(), 0.1)
        own_redis.resume()
        await listener.receive(600, within=20)
        assert not check_history(listener.received, {f"p{n}": 20 for n in range(30)})
        assert (await asked) == {"result": {}}
        answers = await asyncio.gather(*posts)
        assert sorted(answer.status for answer in answers) == [200] * 2 + [503] * 22
        assert {answer.text for answer in answers[4:]} == {"publish buffer full: it was not published\n"}
        assert all(sender.is_open for sender in senders)
    metrics = (await get(gateway.port, "/metrics")).text
    assert 'relay_publish_failures_total{reason="publish_buffer_full"} 22.0' in metrics
    assert 'relay_api_requests_total{code="503",method="http_publish"} 22.0' in metrics


async def test_every_message_is_delivered_or_its_publisher_is_closed(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    """Thirty publishers, one message each, before, in and after the outage: none vanishes in silence."""
    (gateway,) = await embedded(1, **STAYING, broker_url=own_redis.url, publish_timeout=1)
    await wait_until(lambda: gateway.ready)
    url = f"{gateway.url}/ws/a"
    async with connected(url) as (listener,), connected(*[url] * 30) as senders:
        for number, sender in enumerate(senders):
            if number == 5:
                await listener.receive(5)
            elif number == 10:
                own_redis.kill()
                await wait_until(lambda: not gateway.ready)
            elif number == 20:
                await wait_until(lambda: gateway.counters.disconnects["BUS_UNAVAILABLE"] == 10)
                await asyncio.to_thread(own_redis.start)
                await wait_until(lambda: gateway.ready)
            await sender.send(labelled(f"p{number}", 0))
        await asyncio.gather(*(sender.flushed() for sender in senders if sender.is_open))
        await senders[0].send("end")
        await wait_until(lambda: listener.received[-1:] == ["end"])
        endings = [sender.close_reason for sender in senders]
        got = [labelled(f"p{number}", 0) in listener.received for number in range(30)]
        assert endings[:5] == [None] * 5
        assert endings[10:20] == ["bus unavailable"] * 10
        assert endings[20:] == [None] * 10
        assert got[:5] + got[10:20] + got[20:] == [True] * 5 + [False] * 10 + [True] * 10
        # Those of the moment before the outage: delivered, or their publisher knows that perhaps not.
        assert all(
            ending == "delivery unknown" or arrived for ending, arrived in zip(endings[5:10], got[5:10], strict=True)
        )
