"""What a gateway doesn't hear it reads from the history: clients miss nothing, and are told nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, NamedTuple

from relay import Gateway
from relay.brokers.envelope import seal
from relay.brokers.redis.scripts import keys_of
from relay.message import Message
from tests.conftest import EmbeddedFactory, ProxyFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.inside import parts_of
from tests.harness.redis_server import RedisServer
from tests.harness.stored_position import StoredPosition
from tests.harness.tcp_proxy import TcpProxy
from tests.harness.websocket_client import WebSocketClient, connected

NAMESPACES = {"kept": {"history_size": 100}, "short": {"history_size": 3}, "counted": {"positions": True}}


async def test_a_killed_link_to_redis_is_noticed_by_no_client(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    pair = await embedded(2, broker_url=own_redis.url, namespaces=NAMESPACES)
    await wait_until(lambda: all(gateway.ready for gateway in pair))
    channels = [f"kept:{number}" for number in range(5)]
    count = 400
    async with AsyncExitStack() as stack:
        urls = [f"{gateway.url}/ws/{channel}" for gateway in pair for channel in channels]
        listeners = await stack.enter_async_context(connected(*urls))
        streams = [
            await stack.enter_async_context(EventStreamClient(gateway.port, f"/sse/{channel}"))
            for gateway in pair
            for channel in channels
        ]
        killed = 0
        for number in range(count):
            await asyncio.gather(*[pair[number % 2].publish(channel, str(number)) for channel in channels])
            if number % 100 == 50:
                killed += own_redis.kill_clients("pubsub")
        assert killed >= 6
        expected = [str(number) for number in range(count)]
        for listener in listeners:
            assert await listener.receive(count) == expected
        for stream in streams:
            assert await stream.receive(count) == expected
            assert stream.missed == []
        for gateway in pair:
            counters = gateway.counters
            assert counters.gaps
            assert (counters.channels_missed, counters.disconnects) == (0, {})


class Cut(NamedTuple):
    """Two gateways, one of which can be cut off from Redis.

    Args:
        deaf: the one.
        other: hears everything.
        proxy: between the one and Redis.
        redis: for both.
    """

    deaf: Gateway
    other: Gateway
    proxy: TcpProxy
    redis: RedisServer

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        """Cut the one off; it hears Redis again at the end."""
        self.proxy.targets = ()
        self.proxy.cut()
        await wait_until(lambda: not self.deaf.ready)
        yield
        self.proxy.targets = (self.redis.port,)
        await wait_until(lambda: self.deaf.ready)


async def cut(redis: RedisServer, embedded: EmbeddedFactory, proxy_to: ProxyFactory, **settings: Any) -> Cut:
    """Start them."""
    proxy = await proxy_to(redis.port)
    given = {"namespaces": NAMESPACES, "gap_seconds": 0, **settings}
    (deaf,) = await embedded(1, broker_url=redis.url_of(port=proxy.port), **given)
    (other,) = await embedded(1, broker_url=redis.url, **given)
    await wait_until(lambda: deaf.ready and other.ready)
    return Cut(deaf, other, proxy, redis)


async def publish(gateway: Gateway, channel: str, *texts: str) -> None:
    """Publish messages, one after the other."""
    for text in texts:
        await gateway.publish(channel, text)


async def test_what_was_published_during_an_outage_is_filled_in(
    own_redis: RedisServer, embedded: EmbeddedFactory, proxy_to: ProxyFactory
) -> None:
    gateways = await cut(own_redis, embedded, proxy_to)
    deaf = gateways.deaf
    urls = [f"{deaf.url}/ws/kept:a"] * 50
    async with connected(*urls) as listeners, EventStreamClient(deaf.port, "/sse/kept:a") as stream:
        await publish(gateways.other, "kept:a", "1", "2")
        for listener in listeners:
            await listener.receive(2)
        reads = deaf.counters.history_reads["read"]
        async with gateways.outage():
            await publish(gateways.other, "kept:a", *"3456789")
        await publish(gateways.other, "kept:a", "10")
        expected = [str(number) for number in range(1, 11)]
        for listener in listeners:
            assert await listener.receive(10) == expected
        assert await stream.receive(10) == expected
        assert stream.parser.last_id is not None
        assert stream.parser.last_id.endswith(":10")
        counters = deaf.counters
        assert (counters.messages_filled, counters.channels_missed, counters.disconnects) == (7, 0, {})
        # One for the gap, and perhaps one for a look at a quiet channel, or one that came in between.
        assert counters.history_reads["read"] - reads <= 3


async def test_exactly_the_subscribers_are_told_who_have_missed_messages(
    own_redis: RedisServer, embedded: EmbeddedFactory, proxy_to: ProxyFactory
) -> None:
    gateways = await cut(own_redis, embedded, proxy_to)
    deaf, other = gateways.deaf, gateways.other
    touched = ("short:touched", "counted:touched", "plain")
    spared = ("short:spared", "short:little", "counted:spared")
    async with AsyncExitStack() as stack:
        listeners: dict[str, WebSocketClient] = {}
        streams: dict[str, EventStreamClient] = {}
        for channel in (*touched, *spared):
            (listeners[channel],) = await stack.enter_async_context(connected(f"{deaf.url}/ws/{channel}"))
            streams[channel] = await stack.enter_async_context(EventStreamClient(deaf.port, f"/sse/{channel}"))
            await publish(other, channel, "before")
            await listeners[channel].receive(1)
        async with gateways.outage():
            await publish(other, "short:touched", *"12345")
            await publish(other, "counted:touched", "1")
            await publish(other, "short:little", *"123")
        for channel in touched:
            assert await listeners[channel].ended() == (1012, "messages missed")
        for channel in (*touched, *spared):
            await publish(other, channel, "after")
        assert await streams["short:touched"].receive(5) == ["before", "3", "4", "5", "after"]
        assert await streams["counted:touched"].receive(2) == ["before", "after"]
        assert await streams["plain"].receive(2) == ["before", "after"]
        assert await streams["short:little"].receive(5) == ["before", "1", "2", "3", "after"]
        for channel in ("short:spared", "counted:spared"):
            assert await streams[channel].receive(2) == ["before", "after"]
            assert await listeners[channel].receive(2) == ["before", "after"]
        assert await listeners["short:little"].receive(5) == ["before", "1", "2", "3", "after"]
        told = {channel: len(stream.missed) for channel, stream in streams.items()}
        assert told == {**dict.fromkeys(touched, 1), **dict.fromkeys(spared, 0)}
        position = streams["short:touched"].missed[0][1]
        assert position is not None
        assert position.endswith(":3")
        assert (deaf.counters.channels_missed, dict(deaf.counters.disconnects)) == (2, {"MISSED": 3})
        assert all(listeners[channel].is_open for channel in spared)


async def test_a_message_that_never_came_is_found_although_none_comes_behind_it(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url, namespaces=NAMESPACES)
    await wait_until(lambda: gateway.ready)
    async with connected(f"{gateway.url}/ws/kept:a") as (listener,):
        await publish(gateway, "kept:a", "1")
        await listener.receive(1)
        position, history, _ = keys_of("relay:", "kept:a")
        redis = own_redis.admin
        redis.xadd(history, {"m": seal(Message("kept:a", b"2"))}, id="2-1")  # as the script does, but not published
        StoredPosition.change(redis, position, offset=2, size=2)
        assert await listener.receive(2) == ["1", "2"]
        await publish(gateway, "kept:a", "3")
        assert await listener.receive(3) == ["1", "2", "3"]
        assert (gateway.counters.gaps, gateway.counters.channels_missed) == (0, 0)


async def test_a_lost_message_of_a_channel_that_keeps_none_is_told(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url, namespaces=NAMESPACES, broker_timeout=1, gap_seconds=0)
    await wait_until(lambda: gateway.ready)
    async with connected(f"{gateway.url}/ws/counted:a", f"{gateway.url}/ws/counted:b") as (listener, other):
        await publish(gateway, "counted:a", "1")
        await listener.receive(1)
        StoredPosition.change(own_redis.admin, keys_of("relay:", "counted:a").position, offset=2)
        assert await listener.ended() == (1012, "messages missed")
        assert other.is_open


async def test_a_lost_history_is_told_and_the_channel_goes_on(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url, namespaces=NAMESPACES)
    await wait_until(lambda: gateway.ready)
    async with EventStreamClient(gateway.port, "/sse/kept:a") as stream:
        await publish(gateway, "kept:a", "1", "2")
        await stream.receive(2)
        own_redis.admin.flushall()
        await publish(gateway, "kept:a", "3", "4")
        assert await stream.receive(4) == ["1", "2", "3", "4"]
        assert [count for count, _ in stream.missed] == [2]
        assert stream.parser.last_id is not None
        assert stream.parser.last_id.endswith(":2")


async def test_clients_that_come_back_at_once_cost_one_reading_for_each_channel(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    first, second = await embedded(2, broker_url=own_redis.url, namespaces=NAMESPACES)
    await wait_until(lambda: first.ready and second.ready)
    channels = [f"kept:{number}" for number in range(10)]
    last: dict[str, str] = {}
    for channel in channels:
        async with EventStreamClient(first.port, f"/sse/{channel}") as stream:
            await publish(first, channel, "1")
            await stream.receive(1)
            assert stream.parser.last_id is not None
            last[channel] = stream.parser.last_id
        await publish(first, channel, *(str(number) for number in range(2, 22)))
    expected = [str(number) for number in range(2, 22)]

    async def come_back(channel: str) -> None:
        async with EventStreamClient(second.port, f"/sse/{channel}", f"Last-Event-ID: {last[channel]}") as stream:
            assert await stream.receive(20) == expected
            assert stream.missed == []

    await asyncio.gather(*[come_back(channel) for channel in channels for _ in range(20)])
    counters = second.counters
    assert dict(counters.recoveries) == {"recovered": 200}
    # And looks at quiet channels.
    looks = counters.history_reads["read"] - len(channels)
    assert looks >= 0
    assert own_redis.calls("xrange") == len(channels)
    await wait_until(lambda: not parts_of(second).context.node.interests)
    assert parts_of(second).context.node.recoveries.buffered == 0


async def test_a_client_is_refused_while_the_history_cannot_be_read(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    login = own_redis.add_user("gateway", "secret", "~* &* +@all -evalsha")
    (gateway,) = await embedded(1, broker_url=login, namespaces=NAMESPACES, broker_timeout=1)
    await wait_until(lambda: gateway.ready)
    async with EventStreamClient(gateway.port, "/sse/kept:a") as stream:
        assert stream.head.status == 503
        assert b"history" in stream.head.body
    assert gateway.counters.connections_refused == {"history_timeout": 1}
    own_redis.allow("gateway", "+evalsha")
    async with EventStreamClient(gateway.port, "/sse/kept:a") as stream:
        assert stream.head.status == 200


async def test_plain_channels_read_nothing(own_redis: RedisServer, embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, broker_url=own_redis.url, namespaces=NAMESPACES)
    await wait_until(lambda: gateway.ready)
    async with connected(f"{gateway.url}/ws/plain") as (listener,):
        await publish(gateway, "plain", "1")
        await listener.receive(1)
        assert await stays_true(lambda: not gateway.counters.history_reads, 0.1)
        assert len(parts_of(gateway).context.node.recoveries) == 0
