"""A Redis in trouble, as the whole bus of a gateway sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio

from relay.brokers import BrokerOptions
from relay.brokers.redis.address import Address, fixed
from relay.brokers.redis.broker import RedisBroker
from relay.errors import BusUnavailable
from tests.brokers.recording import Station
from tests.conftest import ProxyFactory, RedisFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.redis_server import RedisServer
from tests.harness.tcp_proxy import TcpProxy

Connect = Callable[..., Awaitable[Station]]


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Connect]:
    """Start stations that look at their bus all the time: `await connect(url)`; ready when it returns."""
    started: list[Station] = []

    async def start(url: str, *, ready: bool = True, publish_timeout: float = 5.0) -> Station:
        options = BrokerOptions(url, timeout=0.6, probe_interval=0.1, publish_timeout=publish_timeout)
        station = Station(options)
        started.append(station)
        await station.broker.start()
        await station.broker.subscribe("c")
        if ready:
            await wait_until(lambda: not station.broker.problems, what=lambda: station.broker.problems)
        return station

    yield start
    for station in started:
        await station.broker.stop()


def url_of(server: RedisServer | TcpProxy) -> str:
    return f"redis://127.0.0.1:{server.port}"


async def check(station: Station) -> None:
    """Check that messages get through."""
    before = len(station.sink.messages)
    station.say("c", b"x")
    await wait_until(lambda: len(station.sink.messages) == before + 1, what=lambda: station.broker.problems)


async def test_a_redis_that_cannot_save_still_carries_messages(
    own_redis: RedisServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """It refuses PING, with a full disk, say; publishing and subscribing go on, and so does the relay."""
    station = await connect(url_of(own_redis))
    own_redis.fail_to_save()
    await wait_until(lambda: station.counters.bus_errors > 10)
    await check(station)
    await station.broker.subscribe("new")
    assert (station.broker.problems, station.counters.bus_losses, station.sink.gaps) == ([], 0, [])
    told = [record.getMessage() for record in caplog.records if "bus question refused" in record.getMessage()]
    assert len(told) == 1, "one link can't ask, and says so once"
    assert "MISCONF" in told[0]
    # And one that comes later.
    late = await connect(url_of(own_redis))
    await check(late)


async def test_a_refused_probe_is_told_and_tears_nothing_down(own_redis: RedisServer, connect: Connect) -> None:
    own_redis.allow("app", "on", ">pw", "resetchannels", "&relay:*", "-@all", "+subscribe", "+unsubscribe", "+ping")
    own_redis.allow("app", "(+publish resetchannels &relay:c)")
    station = await connect(f"redis://app:pw@127.0.0.1:{own_redis.port}", ready=False)
    await wait_until(lambda: station.counters.bus_errors > 5)
    await check(station)
    assert station.broker.problems[0].startswith("probe refused: NOPERM")
    assert (station.counters.bus_losses, station.sink.gaps) == (0, [])
    own_redis.allow("app", "(+publish resetchannels &relay:*)")
    await wait_until(lambda: not station.broker.problems)
    assert station.counters.bus_losses == 0


async def test_a_channel_can_be_left_where_leaving_is_refused(own_redis: RedisServer, connect: Connect) -> None:
    """Redis goes on sending it; opening the link anew would be a gap for all the others."""
    own_redis.allow("app", "on", ">pw", "resetchannels", "&relay:*", "-@all", "+subscribe", "+publish")
    station = await connect(f"redis://app:pw@127.0.0.1:{own_redis.port}")
    await station.broker.subscribe("d")
    station.broker.unsubscribe("d")
    await wait_until(lambda: station.counters.bus_errors == 1)
    station.say("d", b"not wanted")
    await check(station)
    await station.broker.subscribe("d")
    assert (station.counters.bus_losses, station.sink.payloads("d")) == (0, [])


async def test_a_link_that_hears_and_cannot_speak_is_opened_anew(
    own_redis: RedisServer, proxy_to: ProxyFactory, connect: Connect
) -> None:
    """Only what goes to Redis is lost: messages and probes come in, and no new channel ever would."""
    proxy = await proxy_to(own_redis.port)
    station = await connect(url_of(proxy))
    # The proxy can't tell the links apart: open the one to publish past it.
    assert isinstance(station.broker, RedisBroker)
    publications = station.broker.shards[0].publications
    publications._resolve = fixed(Address(host="127.0.0.1", port=own_redis.port))
    publications.abort("on purpose")
    await wait_until(lambda: proxy.connections == 1 and not station.broker.problems)
    losses = station.counters.bus_losses
    proxy.mute = True
    fresh = station.broker.subscribe("new")
    await check(station)
    assert await stays_true(lambda: station.counters.bus_losses == losses, 0.3), "too early: a network may be slow"
    await wait_until(lambda: station.counters.bus_losses == losses + 1)
    proxy.mute = False
    await fresh
    await wait_until(lambda: not station.broker.problems)


async def test_a_publishing_link_that_cannot_speak_is_opened_anew(
    own_redis: RedisServer, proxy_to: ProxyFactory, connect: Connect
) -> None:
    proxy = await proxy_to(own_redis.port)
    station = await connect(url_of(proxy))
    proxy.mute = True
    await wait_until(lambda: station.counters.bus_losses == 2)
    proxy.mute = False
    await wait_until(lambda: not station.broker.problems)
    await check(station)


async def test_a_redis_that_becomes_a_replica_is_left_for_the_primary(
    redis_with: RedisFactory, proxy_to: ProxyFactory, connect: Connect
) -> None:
    """A failover that keeps connections: nothing is published there; clients hear what the replica copies."""
    old, new = redis_with(), redis_with()
    name = await proxy_to(old.port)
    behind, ahead = await connect(url_of(name), publish_timeout=0.3), await connect(url_of(new))
    before = behind.broker.state.server
    assert before == old.admin.info("server")["run_id"]
    old.follow(new)
    await wait_until(lambda: any("replica" in problem for problem in behind.broker.problems))
    behind.say("c", b"nobody would hear")
    await wait_until(lambda: behind.source.errors)
    assert isinstance(behind.source.errors[0], BusUnavailable)
    assert ahead.sink.messages == []
    await wait_until(lambda: old.admin.info("replication")["master_link_status"] == "up")
    await check(ahead)
    await wait_until(lambda: behind.sink.payloads("c") == [b"x"])
    assert behind.sink.gaps == []
    # The name leads to the new primary.
    name.targets = (new.port,)
    await wait_until(lambda: not behind.broker.problems, what=lambda: behind.broker.problems)
    assert behind.broker.state.server == ahead.broker.state.server != before
    ((channels, seconds),) = behind.sink.gaps
    assert channels == ["c"]
    assert seconds > 0.3, "from the last answer of a primary"
    await check(behind)
    await wait_until(lambda: len(ahead.sink.messages) == 2)


async def test_both_links_come_out_on_one_server(
    redis_with: RedisFactory, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """A name with two servers behind it, each of which would hear one half."""
    one, two = redis_with(), redis_with()
    async with TcpProxy(one.port, two.port, in_turn=True) as name:
        station = await connect(url_of(name))
        assert sorted(server.channels("relay:?probe*") for server in (one, two)) == [0, 1]
        await check(station)
        losses = station.counters.bus_losses
        assert await stays_true(lambda: station.counters.bus_losses == losses and not station.broker.problems, 0.3)
        await station.broker.stop()


async def test_a_moved_name_takes_both_links_along(
    redis_with: RedisFactory, proxy_to: ProxyFactory, connect: Connect
) -> None:
    """The old server stays a primary, and one link to it is open: it must not be used by half."""
    old, new = redis_with(), redis_with()
    name = await proxy_to(old.port)
    station = await connect(url_of(name))
    name.targets = (new.port,)
    old.kill_clients("normal")
    run_id = new.admin.info("server")["run_id"]
    await wait_until(lambda: station.broker.state.server == run_id and not station.broker.problems)
    assert len(station.sink.gaps) == 1
    old.admin.publish("relay:c", "old")
    await check(station)
    assert station.sink.payloads("c") == [b"x"]


async def test_a_gap_begins_with_the_last_thing_heard(
    own_redis: RedisServer, proxy_to: ProxyFactory, connect: Connect
) -> None:
    proxy = await proxy_to(own_redis.port)
    station = await connect(url_of(proxy))
    proxy.black_hole = True
    began_at = time.monotonic()
    own_redis.admin.publish("relay:c", "missed")
    await wait_until(lambda: station.counters.bus_losses)
    proxy.cut()
    proxy.black_hole = False
    await wait_until(lambda: station.sink.gaps)
    ((channels, seconds),) = station.sink.gaps
    assert channels == ["c"]
    assert station.sink.gaps_began_at[0] <= began_at
    assert seconds > 0.6


async def test_a_station_that_stops_while_it_is_deaf_tells_its_gap(own_redis: RedisServer, connect: Connect) -> None:
    """Of a channel that was left meanwhile, too: its clients have missed what they have missed."""
    station = await connect(url_of(own_redis))
    await station.broker.subscribe("d")
    await station.broker.subscribe("left before")
    station.broker.unsubscribe("left before")
    probes = station.counters.bus_round_trips.count
    await wait_until(lambda: station.counters.bus_round_trips.count >= probes + 2)
    own_redis.kill()
    await wait_until(lambda: station.counters.bus_losses == 2)
    station.broker.unsubscribe("d")
    assert station.sink.gaps == []
    await station.broker.stop()
    ((channels, _),) = station.sink.gaps
    assert channels == ["c", "d"]


async def test_a_station_that_stops_while_it_hears_has_no_gap(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(url_of(own_redis))
    await station.broker.drain()
    await station.broker.stop()
    assert station.sink.gaps == []


async def test_a_station_that_drains_before_it_notices_silence_tells_its_gap(
    own_redis: RedisServer, connect: Connect, proxy_to: ProxyFactory
) -> None:
    """Of a channel that is left while it drains, too."""
    proxy = await proxy_to(own_redis.port)
    station = await connect(url_of(proxy))
    await station.broker.subscribe("d")
    proxy.black_hole = True
    assert own_redis.admin.publish("relay:d", "missed") == 1
    draining = asyncio.create_task(station.broker.drain())
    station.broker.unsubscribe("d")
    await draining
    await station.broker.stop()
    ((channels, _),) = station.sink.gaps
    assert sorted(channels) == ["c", "d"]


async def test_a_fault_of_the_probe_is_told_and_not_its_end(
    own_redis: RedisServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else a gateway would stay ready for ever, whatever it hears."""
    station = await connect(url_of(own_redis))
    assert isinstance(station.broker, RedisBroker)

    def fail(links: object) -> bool:
        raise RuntimeError("a mistake")

    with monkeypatch.context() as patch:
        patch.setattr(station.broker.shards[0]._probe, "is_stale", fail)
        await wait_until(lambda: station.broker.problems == ["bus probe failed"])
    assert "a mistake" in caplog.text
    await wait_until(lambda: not station.broker.problems)
    await check(station)
