"""Bus subscriptions on a real Redis: batches, refusals, and what survives a broken link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest
import pytest_asyncio

from relay.brokers import BrokerOptions
from relay.brokers.envelope import seal
from relay.brokers.redis.address import Address, fixed
from relay.brokers.redis.broker import RedisBroker
from relay.brokers.redis.link import Link
from relay.brokers.redis.subscribe_commands import BATCH, batches
from relay.brokers.redis.subscriptions import Subscriptions
from relay.errors import PublishRefused, SubscribeError
from relay.message import Kind, Message
from relay.metrics.counters import Counters
from tests.brokers.recording import RecordingSink, Station
from tests.brokers.redis.publication_desk import HandLink
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer


@pytest_asyncio.fixture
async def station(redis_server: RedisServer, prefix: str) -> AsyncIterator[Station]:
    """A connected station on the shared Redis."""
    station = Station(BrokerOptions(redis_server.url, prefix))
    await station.broker.start()
    await wait_until(lambda: not station.broker.problems)
    yield station
    await station.broker.stop()


def test_commands_are_batched_and_keep_their_order() -> None:
    subscribe = [(b"SUBSCRIBE", b"%d" % number) for number in range(BATCH + 1)]
    commands = [*subscribe, (b"UNSUBSCRIBE", b"x"), (b"SUBSCRIBE", b"x")]
    made = list(batches(commands))
    assert [(verb, len(keys)) for verb, keys in made] == [
        (b"SUBSCRIBE", BATCH),
        (b"SUBSCRIBE", 1),
        (b"UNSUBSCRIBE", 1),
        (b"SUBSCRIBE", 1),
    ]
    assert [(verb, key) for verb, keys in made for key in keys] == commands


async def test_many_subscriptions_are_few_commands(own_redis: RedisServer) -> None:
    station = Station(BrokerOptions(own_redis.url))
    await station.broker.start()
    await wait_until(lambda: not station.broker.problems)
    before = own_redis.calls("subscribe")
    await asyncio.gather(*(station.broker.subscribe(f"c{number}") for number in range(2 * BATCH)))
    assert own_redis.calls("subscribe") - before == 2
    await station.broker.stop()


async def test_a_forbidden_channel_is_refused_and_its_batch_is_not(own_redis: RedisServer) -> None:
    own_redis.allow("limited", "on", ">pw", "+@all", "~*", "resetchannels", "&relay:ok*", "&relay:?probe*")
    station = Station(BrokerOptions(f"redis://limited:pw@127.0.0.1:{own_redis.port}"))
    await station.broker.start()
    await wait_until(lambda: not station.broker.problems)
    results = await asyncio.gather(
        *(station.broker.subscribe(channel) for channel in ("ok1", "secret", "ok2")), return_exceptions=True
    )
    assert results[0] is None
    assert results[2] is None
    assert isinstance(results[1], SubscribeError)
    assert results[1].channel == "secret"
    station.say("ok2", b"heard")
    await wait_until(lambda: station.sink.payloads("ok2") == [b"heard"])
    station.say("secret", b"not allowed")
    await wait_until(lambda: station.source.errors)
    assert isinstance(station.source.errors[0], PublishRefused)
    own_redis.allow("limited", "&relay:secret")
    await station.broker.subscribe("secret")
    await station.broker.stop()


async def test_a_refused_probe_channel_keeps_the_bus_unready(own_redis: RedisServer) -> None:
    own_redis.allow("limited", "on", ">pw", "+@all", "~*", "resetchannels")
    station = Station(BrokerOptions(f"redis://limited:pw@127.0.0.1:{own_redis.port}"))
    await station.broker.start()
    await wait_until(lambda: station.counters.bus_errors > 1)
    assert any("probe channel refused" in problem for problem in station.broker.problems)
    await station.broker.stop()


async def test_a_cut_link_is_a_gap_and_everything_is_heard_again(station: Station, redis_server: RedisServer) -> None:
    """Also of a channel that was just left: it isn't certain that all was heard until then."""
    await asyncio.gather(*(station.broker.subscribe(f"c{number}") for number in range(BATCH + 10)))
    station.broker.unsubscribe("c0")
    assert redis_server.kill_clients("pubsub") >= 1
    await wait_until(lambda: station.sink.gaps)
    ((channels, seconds),) = station.sink.gaps
    assert channels == sorted(f"c{number}" for number in range(BATCH + 10))
    assert 0 <= seconds < 30
    await wait_until(lambda: not station.broker.problems)
    for number in range(BATCH + 10):
        station.say(f"c{number}", b"again")
    await wait_until(lambda: len(station.sink.messages) == BATCH + 9)
    assert station.source.errors == []


async def test_a_cut_link_without_subscriptions_is_no_gap(station: Station, redis_server: RedisServer) -> None:
    redis_server.kill_clients("pubsub")
    await wait_until(lambda: station.counters.bus_losses == 1)
    await wait_until(lambda: not station.broker.problems)
    assert station.sink.gaps == []


async def test_a_subscription_made_while_the_link_is_down_is_acknowledged_afterwards(
    station: Station, redis_server: RedisServer
) -> None:
    await station.broker.subscribe("old")
    redis_server.kill_clients("pubsub")
    # Not until there is a problem: the probe may be one still when the link is back.
    await wait_until(lambda: not station.broker.state.links["subscriptions"])
    renewed, new = station.broker.subscribe("old"), station.broker.subscribe("new")
    assert not renewed.done(), "a channel that isn't heard must not count as subscribed"
    await asyncio.gather(renewed, new)
    station.say("old", b"1")
    station.say("new", b"2")
    await wait_until(lambda: len(station.sink.messages) == 2)


async def test_plain_and_broken_messages_on_the_bus(station: Station, redis_server: RedisServer, prefix: str) -> None:
    await station.broker.subscribe("c")
    redis_server.admin.publish(f"{prefix}c", b"\xffr broken envelope")
    redis_server.admin.publish(f"{prefix}c", seal(Message("c", b"text that is none: \xff", Kind.TEXT)))
    redis_server.admin.publish(f"{prefix}c", "hello")
    await wait_until(lambda: station.sink.payloads("c") == [b"hello"])
    assert station.counters.bus_errors == 2


async def test_a_gateway_that_hears_nothing_of_itself_starts_its_link_anew(
    redis_server: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The deaf node: both links are up, Redis answers pings, and nothing is delivered."""
    station = Station(BrokerOptions(redis_server.url, prefix, timeout=0.3, probe_interval=0.1))
    await station.broker.start()
    await wait_until(lambda: not station.broker.problems)
    assert isinstance(station.broker, RedisBroker)
    # Redis has no command that makes somebody else unsubscribe: do what a lost subscription amounts to.
    await station.broker.subscribe("keeps PING's answer an array")
    probes = redis_server.admin.pubsub_channels(f"{prefix} probe*")
    station.broker.shards[0].subscriptions._write(
        [(b"UNSUBSCRIBE", [str(name).encode() if isinstance(name, str) else name for name in probes])]
    )
    await wait_until(lambda: station.counters.bus_losses)
    assert "bus deaf" in caplog.text
    await wait_until(lambda: not station.broker.problems)
    assert station.counters.bus_losses == 1
    await station.broker.stop()


async def test_a_channel_with_clients_that_redis_refuses_later_is_not_forgotten(own_redis: RedisServer) -> None:
    """Its clients are deaf: readiness says so, and they hear again as soon as Redis lets them."""
    rules = ("on", ">pw", "+@all", "~*", "resetchannels", "&relay:?probe*")
    own_redis.allow("limited", *rules, "&relay:c")
    station = Station(BrokerOptions(f"redis://limited:pw@127.0.0.1:{own_redis.port}"))
    await station.broker.start()
    await station.broker.subscribe("c")
    own_redis.allow("limited", "resetchannels", "&relay:?probe*")
    own_redis.kill_clients("pubsub")
    await wait_until(lambda: station.broker.problems and "NOPERM" in station.broker.problems[0])
    assert station.broker.problems[0].startswith("bus subscriptions: Redis refuses 1 channel(s): NOPERM")
    renewed = station.broker.subscribe("c")
    assert not renewed.done()
    own_redis.allow("limited", "&relay:c")
    await renewed
    await wait_until(lambda: not station.broker.problems)
    own_redis.admin.publish("relay:c", "heard again")
    await wait_until(lambda: station.sink.payloads("c") == [b"heard again"])
    assert {name for channels, _ in station.sink.gaps for name in channels} == {"c"}
    await station.broker.stop()


async def test_an_old_answer_does_not_acknowledge_a_new_subscription() -> None:
    subscriptions = Subscriptions(
        fixed(Address()),
        3.0,
        1.0,
        Counters(),
        prefix="",
        probe=b"p",
        sink=RecordingSink(),
        receiver=lambda channel: print,
        probe_received=print,
        changed=print,
    )
    subscriptions.link = cast(Link, HandLink())
    subscriptions._synchronized = asyncio.get_running_loop().create_future()
    first = subscriptions.subscribe("c")
    await asyncio.sleep(0)
    subscriptions.unsubscribe("c")
    await asyncio.sleep(0)
    second = subscriptions.subscribe("c")
    await asyncio.sleep(0)
    assert first.cancelled()
    subscriptions._settle(b"c")
    subscriptions._settle(b"c")
    assert not second.done()
    subscriptions._settle(b"c")
    assert second.done()
