"""Back ends that publish to channels with positions, and with idempotency keys."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import pytest_asyncio

from relay import AsyncPublisher, Publisher
from relay.attributes import AttributesError, encode_tags
from relay.brokers import BrokerOptions
from relay.brokers.redis import publisher as publisher_module
from relay.brokers.redis.announcement import pack_announcement
from relay.errors import BusUnavailable, DeliveryUnknown, PublishRefused
from relay.message import Attributes, attributes_of
from relay.namespaces import ChannelOptions, Namespaces
from tests.brokers.recording import Outcomes, Station
from tests.conftest import ProxyFactory
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer
from tests.harness.stored_position import StoredPosition

NAMESPACES = Namespaces(named={"h": ChannelOptions(history_size=10), "p": ChannelOptions(positions=True)})

Publish = Callable[..., Coroutine[Any, Any, int]]
MakePublisher = Callable[..., Publish]


@pytest_asyncio.fixture(params=["blocking", "async"])
async def publisher(request: pytest.FixtureRequest) -> AsyncIterator[MakePublisher]:
    """Make publishers of one kind: `publisher(url)`, which returns their `publish` for asyncio code."""
    made: list[Publisher | AsyncPublisher] = []

    def make(url: str, **options: Any) -> Publish:
        if request.param == "async":
            async_one = AsyncPublisher(url, **options)
            made.append(async_one)
            return async_one.publish
        blocking = Publisher(url, **options)
        made.append(blocking)
        return lambda *args, **named: asyncio.to_thread(blocking.publish, *args, **named)

    yield make
    for one in made:
        if isinstance(one, AsyncPublisher):
            await one.aclose()
        else:
            one.close()


@pytest_asyncio.fixture
async def station(own_redis: RedisServer) -> AsyncIterator[Station]:
    """A gateway that is subscribed to `h:c`, `p:c` and `c`, and has told its namespaces."""
    one = Station(BrokerOptions(own_redis.url, timeout=1.0, probe_interval=0.1, namespaces=NAMESPACES))
    await one.broker.start()
    await asyncio.gather(*(one.broker.subscribe(channel) for channel in ("h:c", "p:c", "c")))
    await wait_until(lambda: not one.broker.problems)
    yield one
    await one.broker.stop()


def _epoch(server: RedisServer) -> str:
    known = StoredPosition.read(server.admin, "relay:{h:c}:position")
    assert known is not None
    return known.epoch


@pytest.fixture
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher_module, "RETRY_SECONDS", (0.01,) * 200)


async def test_tags_go_along_and_are_kept(publisher: MakePublisher, own_redis: RedisServer, station: Station) -> None:
    publish = publisher(own_redis.url, namespaces=NAMESPACES)
    tags = {"kind": "order", "\u00e4": "x" * 1000}
    assert [await publish("h:c", "1", tags=tags), await publish("c", b"2", tags=tags)] == [1, 1]
    await publish("h:c", "3", tags=tags, idempotency_key="k")
    await publish("h:c", "4", tags={})
    await wait_until(lambda: len(station.sink.messages) == 4)
    carried = [attributes_of(message) for message in station.sink.messages]
    assert carried == [Attributes(tags=encode_tags(tags))] * 3 + [None]
    page = await station.broker.history.read("h:c")
    assert page.messages == [message for message in station.sink.messages if message.channel == "h:c"]
    with pytest.raises(AttributesError, match=r"^tags: must have at most 4096 bytes as JSON"):
        await publish("c", "5", tags={"k": "v" * 4096})


@pytest.mark.parametrize("known", [None, NAMESPACES], ids=["asked", "given"])
async def test_their_messages_have_positions_like_all_others(
    publisher: MakePublisher, own_redis: RedisServer, station: Station, known: Namespaces | None
) -> None:
    publish = publisher(own_redis.url, namespaces=known)
    assert [await publish("h:c", "1"), await publish("p:c", b"2"), await publish("c", "3")] == [1, 1, 1]
    outcomes = Outcomes()
    station.say("h:c", b"4", receipt=outcomes)
    await wait_until(lambda: len(station.sink.messages) == 4)
    offsets = [position and position.offset for position in station.sink.positions("h:c")]
    assert (offsets, station.sink.positions("c")) == ([1, 2], [None])
    assert [position and position.offset for position in station.sink.positions("p:c")] == [1]
    page = await station.broker.history.read("h:c")
    assert [message.payload for message in page.messages] == [b"1", b"4"]
    assert station.counters.messages_unpositioned == 0


async def test_gateways_are_asked_once_a_minute(
    publisher: MakePublisher, own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = publisher(own_redis.url)
    for _ in range(5):
        await publish("h:c", "no gateway has told anything")
    assert own_redis.calls("get") == 1
    assert own_redis.calls("publish") == 5
    station = Station(BrokerOptions(own_redis.url, namespaces=NAMESPACES))
    await station.broker.start()
    await wait_until(lambda: not station.broker.problems)
    monkeypatch.setattr("time.monotonic", _clock_of_an_hour_later())
    await publish("h:c", "now it has a history")
    page = await station.broker.history.read("h:c")
    assert [message.payload for message in page.messages] == [b"now it has a history"]
    await station.broker.stop()


def _clock_of_an_hour_later() -> Callable[[], float]:
    monotonic = time.monotonic
    return lambda: monotonic() + 3600


async def test_a_restart_from_an_older_snapshot_never_gives_an_offset_out_twice(
    publisher: MakePublisher, own_redis: RedisServer
) -> None:
    """The position in the snapshot was written for the primary that a publisher knew before."""
    publish = publisher(own_redis.url, namespaces=NAMESPACES)
    await publish("h:c", "1")
    await publish("h:c", "2")
    epoch = _epoch(own_redis)
    own_redis.admin.save()
    await publish("h:c", "3")
    own_redis.restart()
    with contextlib.suppress(BusUnavailable, DeliveryUnknown):
        await publish("h:c", "perhaps on a broken connection")
    await publish("h:c", "4")
    assert _epoch(own_redis) != epoch


async def test_a_user_who_may_only_publish_does_that(
    publisher: MakePublisher, own_redis: RedisServer, station: Station, caplog: pytest.LogCaptureFixture
) -> None:
    """The rights of a release before histories. The gateway notices it."""
    caplog.set_level("INFO", "relay")
    publish = publisher(own_redis.add_user("old", "pw", "resetchannels &relay:* -@all +publish"))
    assert [await publish("h:c", "1"), await publish("h:c", "2"), await publish("c", "3")] == [1, 1, 1]
    assert caplog.text.count("namespaces unknown") == 1
    await wait_until(lambda: station.counters.messages_unpositioned == 2)
    assert caplog.text.count("message past the history") == 1
    with pytest.raises(PublishRefused):
        await publisher(
            own_redis.add_user("old", "pw", "resetchannels &relay:* -@all +publish"), namespaces=NAMESPACES
        )("h:c", "x")


async def test_what_no_gateway_has_written_is_refused(publisher: MakePublisher, own_redis: RedisServer) -> None:
    for text in (b"{", b'{"default":{},"named":{"\xff":{}}}', b'{"more":' + b"[" * 100_000 + b"]" * 100_000 + b"}"):
        own_redis.admin.set("relay:namespaces", text)
        with pytest.raises(PublishRefused, match="relay:namespaces"):
            await publisher(own_redis.url)("c", "x")


async def test_flushed_scripts_are_loaded_again(
    publisher: MakePublisher, own_redis: RedisServer, station: Station
) -> None:
    publish = publisher(own_redis.url)
    for number, channel in itertools.product(range(3), ("h:c", "c")):
        own_redis.admin.script_flush()
        assert await publish(channel, str(number), idempotency_key=str(number)) == 1
    await wait_until(lambda: len(station.sink.messages) == 6)


async def test_a_repeated_message_is_published_once(
    publisher: MakePublisher, own_redis: RedisServer, station: Station
) -> None:
    for channel in ("h:c", "p:c", "c"):
        assert await publisher(own_redis.url)(channel, "once", idempotency_key="k") == 1
        assert await publisher(own_redis.url)(channel, "again", idempotency_key="k") == 1
        outcomes = Outcomes()
        station.say(channel, b"and from a gateway", receipt=outcomes, key="k")
        await wait_until(lambda outcomes=outcomes: outcomes.repeated == [True])
        await publisher(own_redis.url)(channel, "end", idempotency_key="l")
        await wait_until(lambda channel=channel: b"end" in station.sink.payloads(channel))
        assert station.sink.payloads(channel) == [b"once", b"end"]


@pytest.mark.usefixtures("_soon")
async def test_with_a_key_it_tries_again_until_redis_is_back(
    publisher: MakePublisher, own_redis: RedisServer, proxy_to: ProxyFactory
) -> None:
    proxy = await proxy_to(own_redis.port)
    publish = publisher(own_redis.url_of(port=proxy.port), timeout=0.2, namespaces=NAMESPACES)
    await publish("h:c", "connects")
    proxy.targets = ()
    proxy.cut()
    with pytest.raises((BusUnavailable, DeliveryUnknown)):
        await publish("h:c", "without a key", idempotency_key=None)
    task = asyncio.ensure_future(publish("h:c", "with one", idempotency_key="k"))
    tries = proxy.accepted + 3
    await wait_until(lambda: proxy.accepted >= tries)
    proxy.targets = (own_redis.port,)
    assert await task == 0
    assert own_redis.admin.xlen("relay:{h:c}:history") == 2


@pytest.mark.usefixtures("_soon")
async def test_what_was_published_and_not_answered_is_published_once(
    publisher: MakePublisher, own_redis: RedisServer, proxy_to: ProxyFactory
) -> None:
    proxy = await proxy_to(own_redis.port)
    publish = publisher(own_redis.url_of(port=proxy.port), timeout=0.3, namespaces=NAMESPACES)
    await publish("h:c", "connects")
    proxy.deaf = True
    task = asyncio.ensure_future(publish("h:c", "x", idempotency_key="k"))
    await wait_until(lambda: own_redis.admin.xlen("relay:{h:c}:history") == 2)
    accepted = proxy.accepted
    await wait_until(lambda: proxy.accepted > accepted)
    proxy.deaf = False
    assert await task == 0
    assert own_redis.admin.xlen("relay:{h:c}:history") == 2


async def test_what_a_later_gateway_tells_is_read_by_this_one(publisher: MakePublisher, own_redis: RedisServer) -> None:
    own_redis.admin.set(
        "relay:namespaces", '{"default": {"history_size": 3, "new": 1}, "named": {"p": {}}, "more": []}'
    )
    publish = publisher(own_redis.url)
    await publish("c", "1")
    await publish("p:c", "2")
    assert own_redis.admin.xlen("relay:{c}:history") == 1
    assert not own_redis.admin.exists("relay:{p:c}:position")
    assert b"max_message_bytes" not in pack_announcement("relay:", NAMESPACES).tell


async def test_a_redis_that_has_lost_what_gateways_told_makes_nobody_go_past_histories(
    publisher: MakePublisher, own_redis: RedisServer, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a restart, before the first gateway is back."""
    for name in ("ASK_AGAIN_SECONDS", "UNTOLD_SECONDS"):
        monkeypatch.setattr(f"relay.brokers.redis.message_packer.{name}", 0.0)
    publish = publisher(own_redis.url)
    await publish("h:c", "1")
    own_redis.admin.delete("relay:namespaces")
    await publish("h:c", "2")
    await publish("h:c", "3", idempotency_key="k")
    await wait_until(lambda: len(station.sink.messages) == 3)
    assert None not in station.sink.positions("h:c")


async def test_gateways_tell_their_namespaces_again(
    own_redis: RedisServer, station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Redis may have lost them without a link that broke."""
    monkeypatch.setattr("relay.brokers.redis.scripting.REMIND_SECONDS", 0.0)
    station.broker.shards[0]._scripting._remind_at = 0.0  # type: ignore[attr-defined]
    told = own_redis.admin.get("relay:namespaces")
    assert told
    own_redis.admin.flushall()
    await wait_until(lambda: own_redis.admin.get("relay:namespaces") == told)
    assert station.counters.bus_losses == 0
