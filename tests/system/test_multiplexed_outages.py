"""Clients of a protocol of their own while the bus is away."""

from __future__ import annotations

import asyncio

import pytest

from tests.clients.leftovers import leaving_nothing
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.inside import parts_of
from tests.harness.multiplexed_client import MultiplexedClient, RequestError, multiplexed
from tests.harness.redis_server import RedisServer
from tests.system.multiplexed_pair import _registered as _registered
from tests.system.multiplexed_pair import url_of


async def test_a_client_that_leaves_while_the_bus_is_silent_leaves_nothing(
    embedded: EmbeddedFactory, own_redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url, broker_timeout=60)
    await wait_until(lambda: gateway.ready)
    node = parts_of(gateway).context.node
    interests = node.interests
    async with leaving_nothing(gateway):
        client = await MultiplexedClient.connect(url_of(gateway))
        own_redis.pause()
        answers = [await client.begin(subscribe=f"c{number}") for number in range(50)]
        await wait_until(lambda: node.interests == interests + 50)
        futures = [node._broker.subscribe(f"c{number}") for number in range(50)]
        assert all(future._callbacks for future in futures)
        await client.abort()
        assert all(answer.cancelled() for answer in answers)
    assert not any(future._callbacks for future in futures)
    await wait_until(lambda: node.interests == interests)
    assert node.hub.channels == []
    own_redis.resume()
    assert not [record for record in caplog.records if record.exc_info]


async def test_a_subscription_that_the_bus_does_not_acknowledge_in_time_is_an_error(
    embedded: EmbeddedFactory, own_redis: RedisServer
) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url, broker_timeout=0.5)
    await wait_until(lambda: gateway.ready)
    async with multiplexed(url_of(gateway)) as (client,):
        own_redis.pause()
        with pytest.raises(RequestError, match="not acknowledge it in time"):
            await client.subscribe("news")
        assert client.is_open
        own_redis.resume()
        await wait_until(lambda: gateway.ready)
        await client.subscribe("news")
        await client.publish("news", 1)
        assert await client.receive(1) == [("news", 1)]


async def test_a_subscription_that_redis_refuses_is_an_error(embedded: EmbeddedFactory, own_redis: RedisServer) -> None:
    url = own_redis.add_user("narrow", "pw", "+@all ~* resetchannels &relay:*")
    own_redis.allow("narrow", "resetchannels", "&relay:open*", "&relay:\x01*", "&relay:*probe*", "&relay:*control*")
    (gateway,) = await embedded(1, broker_url=url)
    async with multiplexed(url_of(gateway)) as (client,):
        with pytest.raises(RequestError, match="the bus refused it"):
            await client.subscribe("closed")
        with pytest.raises(RequestError, match="refused by the bus"):
            await client.publish("closed", 1)
        await client.subscribe("open")
        await client.publish("open", 1)
        assert await client.receive(1) == [("open", 1)]
        assert client.is_open


async def test_a_publication_that_the_bus_does_not_take_is_an_error_and_the_client_stays(
    embedded: EmbeddedFactory, own_redis: RedisServer
) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url, publish_timeout=0.3, broker_timeout=0.5)
    await wait_until(lambda: gateway.ready)
    async with multiplexed(url_of(gateway), url_of(gateway)) as (client, other):
        await client.subscribe("news")
        own_redis.kill()
        await wait_until(lambda: not gateway.ready)
        for number in range(3):
            with pytest.raises(RequestError, match="bus unavailable"):
                await client.publish("news", number)
        with pytest.raises(RequestError, match="not acknowledge it in time"):
            await client.subscribe("other")
        await client.unsubscribe("news")
        own_redis.start()
        await wait_until(lambda: gateway.ready)
        await client.subscribe("news")
        await other.publish("news", "here again")
        await client.publish("news", "me too")
        assert await client.receive(2) == [("news", "here again"), ("news", "me too")]
        assert gateway.counters.publish_failures == {"BUS_UNAVAILABLE": 3}
        assert not gateway.counters.disconnects


async def test_what_is_published_while_the_bus_is_away_is_bounded(
    embedded: EmbeddedFactory, own_redis: RedisServer
) -> None:
    """Messages whose publishers are answered count for the clients' share, as all messages of clients do."""
    buffer = 1_000_000
    (gateway,) = await embedded(1, broker_url=own_redis.url, publish_timeout=60, publish_buffer_bytes=buffer)
    await wait_until(lambda: gateway.ready)
    node = parts_of(gateway).context.node
    async with multiplexed(*[url_of(gateway)] * 10) as clients:
        own_redis.kill()
        await wait_until(lambda: not gateway.ready)
        request = {"channel": "news", "data": "x" * 50_000}
        sending = [asyncio.create_task(publish_often(client, request, 40)) for client in clients]
        await wait_until(lambda: node.congested or node.paused_publishers == 10)
        assert await stays_true(lambda: sum(node.bus.buffered.values()) < buffer, 0.3)
        assert sum(node.bus.buffered.values()) > 10 * 50_000, "all of it is counted"
        own_redis.start()
        await asyncio.gather(*sending)
    assert gateway.counters.messages_published == 400


async def publish_often(client: MultiplexedClient, request: object, count: int) -> None:
    """Send requests to publish, and wait for all their answers."""
    answers = [await client.begin(publish=request) for _ in range(count)]
    await asyncio.wait(answers)
    for answer in answers:
        answer.result()
