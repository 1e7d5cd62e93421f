"""Positions on a Redis that loses what it had, or is replaced: no offset is given out twice under one epoch."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import redis

from relay.brokers import BrokerOptions
from relay.brokers.envelope import open_envelope, seal
from relay.brokers.history import FRESH_SECONDS, HistoryError, HistoryPage
from relay.brokers.redis import broker, history, scripts
from relay.errors import PublishRefused
from relay.message import Kind, Message
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position
from tests.brokers.recording import Outcomes, Station
from tests.conftest import ProxyFactory, RedisFactory
from tests.harness.conditions import wait_until, wait_until_blocking
from tests.harness.redis_server import RedisServer
from tests.harness.stored_position import StoredPosition
from tests.harness.tcp_proxy import TcpProxy

NAMESPACES = Namespaces(
    named={
        "h": ChannelOptions(history_size=100),
        "big": ChannelOptions(history_size=100_000, history_bytes=10**9),
        "cut": ChannelOptions(history_size=1000, history_bytes=2000),
        "p": ChannelOptions(positions=True),
    }
)

POSITION, HISTORY = "relay:{h:c}:position", "relay:{h:c}:history"

Connect = Callable[..., Awaitable[Station]]


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Connect]:
    """Start stations that are subscribed to `h:c`: `await connect(server)`; ready when it returns."""
    started: list[Station] = []

    async def start(server: RedisServer | TcpProxy | str, publish_timeout: float = 30.0) -> Station:
        url = server if isinstance(server, str) else f"redis://127.0.0.1:{server.port}"
        station = Station(
            BrokerOptions(url, timeout=1.0, probe_interval=0.1, publish_timeout=publish_timeout, namespaces=NAMESPACES)
        )
        started.append(station)
        await station.broker.start()
        await station.broker.subscribe("h:c")
        await wait_until(lambda: not station.broker.problems, what=lambda: station.broker.problems)
        return station

    yield start
    for station in started:
        await station.broker.stop()


async def publish(station: Station, *payloads: bytes, channel: str = "h:c", key: str | None = None) -> list[Position]:
    """Publish messages, and return their positions."""
    outcomes = Outcomes()
    for payload in payloads:
        station.say(channel, payload, receipt=outcomes, key=key)
    await wait_until(lambda: len(outcomes.heard) == len(payloads), what=lambda: (outcomes.errors, len(outcomes.heard)))
    return [position for position in outcomes.positions if position is not None]


async def test_channels_beyond_those_that_the_broker_remembers_get_each_offset_once(
    own_redis: RedisServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "CACHED_CHANNELS", 1)
    station, outcomes = await connect(own_redis), Outcomes()
    await publish(station, b"0")
    for channel in ("h:c", "h:d", "h:c"):
        station.say(channel, b"x", receipt=outcomes)
    await wait_until(lambda: len(outcomes.heard) + len(outcomes.errors) == 3)
    assert [position.offset for position in outcomes.positions if position is not None] == [2, 1, 3]


def payloads(page: HistoryPage) -> list[bytes]:
    return [message.payload for message in page.messages]


def check_never_twice(*stations: Station) -> None:
    """Check that no position was given to two messages."""
    known: dict[Position, bytes] = {}
    for station in stations:
        for message, position in zip(station.sink.messages, station.sink.positions("h:c"), strict=True):
            assert position is not None
            assert known.setdefault(position, message.payload) == message.payload


@pytest.mark.parametrize("lost", ["everything", "position"])
async def test_a_lost_position_begins_another_epoch(own_redis: RedisServer, connect: Connect, lost: str) -> None:
    station = await connect(own_redis)
    before = (await publish(station, b"1", b"2"))[-1]
    if lost == "everything":
        own_redis.admin.flushall()
    else:
        own_redis.admin.delete(POSITION)
    page = await station.broker.history.read("h:c")
    assert page.top.offset == 0
    assert page.messages == []
    assert page.top.epoch != before.epoch
    assert not page.continues(before)
    if lost == "everything":
        own_redis.admin.flushall()
    else:
        own_redis.admin.delete(POSITION)
    (after,) = await publish(station, b"new")
    assert after.offset == 1
    assert len({before.epoch, page.top.epoch, after.epoch}) == 3
    assert payloads(await station.broker.history.read("h:c")) == [b"new"]
    check_never_twice(station)


async def test_it_is_told_where_an_epoch_began(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    (first,) = await publish(station, b"1")
    assert (await station.broker.history.read("h:c")).began == Position("", 0)
    StoredPosition.change(own_redis.admin, POSITION, primary="another primary")
    page = await station.broker.history.read("h:c")
    assert page.began == Position(first.epoch, 1)
    (second,) = await publish(station, b"2")
    assert second == Position(page.top.epoch, 2)
    assert (await station.broker.history.read("h:c")).began == Position(first.epoch, 1)


async def test_what_is_no_position_begins_another_epoch(own_redis: RedisServer, connect: Connect) -> None:
    """As any program may have left it there."""
    station = await connect(own_redis)
    (before,) = await publish(station, b"1")
    for spoil in (
        lambda: own_redis.admin.set(POSITION, "short"),
        lambda: (own_redis.admin.delete(POSITION), own_redis.admin.hset(POSITION, "o", "1")),
    ):
        spoil()
        (after,) = await publish(station, b"2")
        assert after.offset == 1
        assert after.epoch != before.epoch
        assert payloads(await station.broker.history.read("h:c")) == [b"2"]
        spoil()
        assert (await station.broker.history.read("h:c")).top.offset == 0


async def test_a_lost_stream_is_a_hole_and_the_count_goes_on(own_redis: RedisServer, connect: Connect) -> None:
    """As an eviction leaves it."""
    station = await connect(own_redis)
    before = await publish(station, b"1", b"2")
    own_redis.admin.delete(HISTORY)
    assert (await station.broker.history.read("h:c")).top == before[-1]
    assert not (await station.broker.history.read("h:c", since=before[0])).continues(before[0])
    assert await publish(station, b"3") == [Position(before[0].epoch, 3)]
    page = await station.broker.history.read("h:c", since=before[1])
    assert page.continues(before[1])
    assert not (await station.broker.history.read("h:c", since=before[0])).continues(before[0])


async def test_all_keys_expire(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    await publish(station, b"1", key="k")
    await station.broker.history.read("h:other")
    await publish(station, b"1", channel="plain", key="k")
    keys = set(own_redis.admin.keys())
    own_redis.admin.persist(POSITION)
    assert {key: own_redis.admin.ttl(key) for key in keys if own_redis.admin.ttl(key) < 0} == {
        b"relay:namespaces": -1,
        POSITION.encode(): -1,
    }
    assert len(keys) == 6
    assert 300_000 < own_redis.admin.pttl(HISTORY) <= 337_500


async def test_a_stream_lives_on_for_its_time_after_each_message(own_redis: RedisServer, connect: Connect) -> None:
    """And for an eighth more at most: the command that says so would cost as much as a tenth of a publish."""
    station = await connect(own_redis)
    await publish(station, b"1")
    own_redis.admin.config_resetstat()
    await publish(station, b"2", b"3")
    assert own_redis.calls("pexpire") == 0
    StoredPosition.change(own_redis.admin, POSITION, renewed=_renewed(own_redis) - 37_000)
    own_redis.admin.pexpire(HISTORY, 300_500)
    own_redis.admin.config_resetstat()
    await publish(station, b"4")
    assert own_redis.calls("pexpire") == 0
    StoredPosition.change(own_redis.admin, POSITION, renewed=_renewed(own_redis) - 500)
    await publish(station, b"5")
    assert own_redis.calls("pexpire") == 1
    assert 330_000 < own_redis.admin.pttl(HISTORY) <= 337_500


@pytest.mark.parametrize("gone", ["removed", "evicted"])
async def test_a_stream_that_is_made_anew_expires_as_well(own_redis: RedisServer, connect: Connect, gone: str) -> None:
    station = await connect(own_redis)
    await publish(station, b"1")
    if gone == "removed":
        await station.broker.history.remove("h:c")
    else:
        own_redis.admin.delete(HISTORY)
    await publish(station, b"2")
    assert 300_000 < own_redis.admin.pttl(HISTORY) <= 337_500


async def test_a_clock_that_was_set_back_lets_nothing_expire_early(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    await publish(station, b"1")
    StoredPosition.change(own_redis.admin, POSITION, renewed=_renewed(own_redis) + 3_600_000)
    own_redis.admin.pexpire(HISTORY, 1000)
    await publish(station, b"2")
    assert own_redis.admin.pttl(HISTORY) > 300_000


def _renewed(server: RedisServer) -> int:
    known = StoredPosition.read(server.admin, POSITION)
    assert known is not None
    return known.renewed


@pytest.mark.parametrize(("channel", "pause"), [("h:c", 37_500), ("p:c", 24 * 3_600_000)])
async def test_a_position_outlives_a_week_and_is_renewed_once_a_day_at_least(
    own_redis: RedisServer, connect: Connect, channel: str, pause: int
) -> None:
    station, key = await connect(own_redis), f"relay:{{{channel}}}:position"
    await publish(station, b"1", channel=channel)
    assert own_redis.admin.ttl(key) > 7 * 24 * 3600
    own_redis.admin.expire(key, 1000)
    await publish(station, b"2", channel=channel)
    assert own_redis.admin.ttl(key) <= 1000
    known = StoredPosition.read(own_redis.admin, key)
    assert known is not None
    StoredPosition.change(own_redis.admin, key, renewed=known.renewed - pause)
    await publish(station, b"3", channel=channel)
    assert own_redis.admin.ttl(key) > 7 * 24 * 3600


async def test_a_position_without_messages_lives_for_minutes(own_redis: RedisServer, connect: Connect) -> None:
    """Whoever may read must not fill Redis with keys."""
    station = await connect(own_redis)
    empty = (await station.broker.history.read("h:c")).top
    assert 0 < own_redis.admin.ttl(POSITION) <= FRESH_SECONDS
    own_redis.admin.expire(POSITION, 10)
    assert (await station.broker.history.read("h:c")).top == empty
    assert 10 < own_redis.admin.ttl(POSITION) <= FRESH_SECONDS, "who looks again renews it"
    assert await publish(station, b"1") == [Position(empty.epoch, 1)]
    assert own_redis.admin.ttl(POSITION) > 7 * 24 * 3600


async def test_a_position_that_a_refused_message_has_begun_expires(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis.add_user("half", "secret", f"{RIGHTS} -xadd"))
    outcomes = Outcomes()
    station.say("h:c", b"x", receipt=outcomes)
    await wait_until(lambda: outcomes.errors)
    assert 0 < own_redis.admin.ttl(POSITION) <= FRESH_SECONDS


async def test_reading_renews_a_position_once_a_day(own_redis: RedisServer, connect: Connect) -> None:
    """A quiet channel with subscribers keeps its epoch."""
    station = await connect(own_redis)
    (position,) = await publish(station, b"1")
    own_redis.admin.expire(POSITION, 8 * 24 * 3600 - 10)
    own_redis.admin.config_resetstat()
    await station.broker.history.read("h:c", limit=0)
    assert own_redis.calls("expire") == 0
    own_redis.admin.expire(POSITION, 7 * 24 * 3600 - 10)
    assert (await station.broker.history.read("h:c", limit=0)).top == position
    assert own_redis.admin.ttl(POSITION) > 8 * 24 * 3600 - 10


async def test_a_full_redis_can_be_read_though_it_renews_nothing(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    (position,) = await publish(station, b"1")
    own_redis.admin.expire(POSITION, 1000)
    own_redis.admin.config_set("maxmemory", 1)
    page = await station.broker.history.read("h:c")
    assert (page.top, payloads(page)) == (position, [b"1"])


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("removed", [0, 1, 2, 3, 4, 7, 8, 9, 16, 17, 50, 99, 100])
async def test_a_large_message_takes_the_place_of_as_many_as_it_has_to(
    own_redis: RedisServer, connect: Connect, removed: int, together: bool
) -> None:
    """In one step, whatever their number, and however many were kept as one entry."""
    station = await connect(own_redis)
    options = NAMESPACES.options("cut:c")
    batches = [[b"x" * 10] * 100] if together else [[b"x" * 10]] * 100
    for batch in batches:
        await publish(station, *batch, channel="cut:c")
    if not together:
        own_redis.admin.xdel("relay:{cut:c}:history", "3-20")  # a hole is no matter
    large = b"y" * (options.history_bytes - 1000 + 10 * removed)
    own_redis.admin.config_resetstat()
    await publish(station, large, channel="cut:c")
    assert own_redis.calls("xdel") == 0
    assert own_redis.calls("xtrim") <= 2
    page = await station.broker.history.read("cut:c")
    offsets = [message.position.offset for message in page.messages]
    assert offsets == [offset for offset in range(removed + 1, 102) if together or offset != 3]
    entries: Any = own_redis.admin.xrange("relay:{cut:c}:history")
    surplus = scripts.GROUP if together else 2
    assert removed + 1 - surplus <= int(entries[0][0].partition(b"-")[0]) <= removed + scripts.GROUP
    known = StoredPosition.read(own_redis.admin, "relay:{cut:c}:position")
    assert known is not None
    assert known.size - known.before <= options.history_bytes


async def test_messages_of_one_call_share_entries_and_are_read_one_by_one(
    own_redis: RedisServer, connect: Connect
) -> None:
    station = await connect(own_redis)
    sizes = [1, 2000, 3, 4, 5000, 6] + [7] * 60
    positions = await publish(station, *[b"%d" % number * size for number, size in enumerate(sizes, 1)])
    expected = [b"%d" % number * size for number, size in enumerate(sizes, 1)]
    entries: Any = own_redis.admin.xrange(HISTORY)
    assert len(entries) < 10
    history = station.broker.history
    assert payloads(await history.read("h:c")) == expected
    for number in (0, 1, 2, 5, 15, 16, 17, 40, 65, 66):
        since = Position(positions[0].epoch, number)
        page = await history.read("h:c", since=since)
        assert payloads(page) == expected[number:]
        assert page.continues(since)
        for limit in (1, 2, 20):
            assert payloads(await history.read("h:c", since=since, limit=limit)) == expected[number : number + limit]
            before = expected[: max(0, number - 1)][::-1]
            page = await history.read("h:c", since=since, limit=limit, newest_first=True)
            assert payloads(page) == before[:limit]
    assert payloads(await history.read("h:c", limit=3, newest_first=True)) == expected[:-4:-1]


async def test_of_messages_that_share_entries_the_newest_are_kept(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    for first in range(1, 1001, 50):
        await publish(station, *[b"%d" % number for number in range(first, first + 50)])
    page = await station.broker.history.read("h:c")
    assert payloads(page) == [b"%d" % number for number in range(901, 1001)]
    stored: Any = own_redis.admin.xrange(HISTORY)
    assert sum(len(fields) for _, fields in stored) < 300, "nodes of a stream go as wholes"


async def test_a_restart_from_an_older_snapshot_begins_another_epoch(own_redis: RedisServer, connect: Connect) -> None:
    """What the snapshot doesn't have was published, and some have heard it."""
    station = await connect(own_redis)
    kept = await publish(station, b"1", b"2")
    own_redis.admin.save()
    lost = await publish(station, b"3", b"4")
    own_redis.restart()
    await wait_until(lambda: not station.broker.problems, what=lambda: station.broker.problems)
    page = await station.broker.history.read("h:c")
    assert (page.top.offset, payloads(page)) == (2, [b"1", b"2"])
    assert page.top.epoch != kept[0].epoch
    assert not page.continues(kept[1])
    assert not page.continues(lost[1])
    after = await publish(station, b"5", b"6")
    assert after == [Position(page.top.epoch, 3), Position(page.top.epoch, 4)]
    check_never_twice(station)


async def test_the_first_message_after_a_restart_begins_it_as_well(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    before = await publish(station, b"1", b"2")
    own_redis.admin.save()
    await publish(station, b"3")
    own_redis.restart()
    await wait_until(lambda: station.counters.bus_losses == 2)
    (after,) = await publish(station, b"4")
    assert after.offset == 3
    assert after.epoch != before[0].epoch
    check_never_twice(station)


async def test_a_replica_that_lags_begins_another_epoch_when_it_is_promoted(
    redis_with: RedisFactory, proxy_to: ProxyFactory, connect: Connect
) -> None:
    """And messages that waited meanwhile go out under it: they are written for the new primary."""
    primary, replica = redis_with(), redis_with()
    network, name = await proxy_to(primary.port), await proxy_to(primary.port)
    here, there = await connect(name), await connect(name)
    copied = await publish(here, b"1", b"2")
    primary.admin.config_set("repl-diskless-sync-delay", 0)
    replica.admin.replicaof("127.0.0.1", str(network.port))
    await asyncio.to_thread(_wait_for_copy, replica, 2)
    network.black_hole = True
    lost = await publish(here, b"3", b"4")
    assert [position.offset for position in lost] == [3, 4]
    name.targets = ()
    primary.kill()
    await wait_until(lambda: here.broker.problems and there.broker.problems)
    outcomes = Outcomes()
    for number in range(3):
        here.say("h:c", b"waits %d" % number, receipt=outcomes)
    network.cut()
    replica.admin.replicaof("NO", "ONE")
    name.targets = (replica.port,)
    await wait_until(lambda: len(outcomes.heard) == 3, what=lambda: here.broker.problems)
    assert [position.offset for position in outcomes.positions if position] == [3, 4, 5]
    epochs = {position.epoch for position in outcomes.positions if position}
    assert len(epochs) == 1
    assert epochs != {copied[0].epoch}
    known = StoredPosition.read(replica.admin, POSITION)
    assert known is not None
    assert known.primary == replica.admin.info("replication")["master_replid"]
    await wait_until(lambda: not there.broker.problems, what=lambda: there.broker.problems)
    page = await there.broker.history.read("h:c")
    assert payloads(page) == [b"1", b"2", b"waits 0", b"waits 1", b"waits 2"]
    assert not page.continues(lost[0])
    assert page.began == copied[-1]
    check_never_twice(here, there)
    # What was asked of the server when the link was opened is all that it was asked: no message took the longer way.
    assert len(await publish(here, b"x")) == 1


async def test_a_primary_that_was_a_replica_meanwhile_begins_another_epoch(
    redis_with: RedisFactory, proxy_to: ProxyFactory, connect: Connect
) -> None:
    """It has given up its own tail for that of the other one, and nothing was published there."""
    first, second = redis_with(), redis_with()
    network = await proxy_to(first.port)
    station = await connect(first)
    before = await publish(station, b"1")
    first.admin.config_set("repl-diskless-sync-delay", 0)
    second.admin.config_set("repl-diskless-sync-delay", 0)
    second.admin.replicaof("127.0.0.1", str(network.port))
    await asyncio.to_thread(_wait_for_copy, second, 1)
    network.black_hole = True
    lost = await publish(station, b"2")
    second.admin.replicaof("NO", "ONE")
    first.follow(second)
    await asyncio.to_thread(_wait_for_copy, first, 1)
    await wait_until(lambda: station.broker.problems)
    with pytest.raises(HistoryError, match="replica"):
        await station.broker.history.read("h:c")
    first.admin.replicaof("NO", "ONE")
    await wait_until(lambda: not station.broker.problems, what=lambda: station.broker.problems)
    (after,) = await publish(station, b"other")
    assert after.offset == lost[0].offset
    assert after.epoch != before[0].epoch
    check_never_twice(station)


async def test_gateways_agree_on_the_primary_whatever_each_believes(redis_with: RedisFactory, connect: Connect) -> None:
    """An id that has changed by itself, as an hour after the last replica has left, costs one epoch and no more."""
    server = redis_with(options=["--enable-debug-command", "local"])
    old = await connect(server)
    (before,) = await publish(old, b"1")
    server.admin.execute_command("DEBUG", "CHANGE-REPL-ID")  # type: ignore[no-untyped-call]
    assert await publish(old, b"2") == [Position(before.epoch, 2)]
    new = await connect(server)
    (after,) = await publish(new, b"3")
    assert after.epoch != before.epoch
    positions = [(await publish(station, b"x"))[0] for station in (old, new, old, new)]
    assert positions == [Position(after.epoch, 4 + number) for number in range(4)]
    # It has been told which one it is: the question isn't asked with each message.
    server.admin.config_resetstat()
    await publish(old, b"x")
    assert server.calls("info") <= 1


async def test_scripts_that_were_flushed_are_loaded_again_and_nothing_is_out_of_order(
    own_redis: RedisServer, connect: Connect
) -> None:
    here, there = await connect(own_redis), await connect(own_redis)
    await there.broker.subscribe("big:c")
    expected = [b"%d" % number for number in range(3000)]
    outcomes = Outcomes()
    for number, payload in enumerate(expected):
        here.say("big:c", payload, receipt=outcomes if number % 2 else None)
        if number % 300 == 0:
            own_redis.admin.script_flush()
        if number % 50 == 0:
            await asyncio.sleep(0)
    await wait_until(lambda: len(there.sink.messages) == len(expected), what=lambda: len(there.sink.messages))
    assert there.sink.payloads("big:c") == expected
    assert [position.offset for position in there.sink.positions("big:c") if position] == list(range(1, 3001))
    await wait_until(lambda: len(outcomes.heard) == 1500)
    assert (here.source.errors, outcomes.errors) == ([], [])
    await wait_until(lambda: not any(here.broker.state.buffered.values()))
    own_redis.admin.script_flush()
    await here.broker.drain()
    assert len((await here.broker.history.read("big:c", limit=5)).messages) == 5


async def test_a_user_without_the_right_to_scripts_is_refused_and_told_why(
    own_redis: RedisServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """The rights of a release before histories."""
    url = own_redis.add_user(
        "old",
        "secret",
        "resetchannels &relay:* ~relay:blocked_users -@all +publish +subscribe +unsubscribe +ping +info",
    )
    station = await connect(url)
    outcomes = Outcomes()
    station.say("h:c", b"x", receipt=outcomes)
    await wait_until(lambda: outcomes.errors)
    assert isinstance(outcomes.errors[0], PublishRefused)
    assert "evalsha" in str(outcomes.errors[0])
    assert "scripts refused" in caplog.text
    assert "EVALSHA" in caplog.text
    assert "publish refused" in caplog.text
    with pytest.raises(HistoryError, match="evalsha"):
        await station.broker.history.read("h:c")
    outcomes = Outcomes()
    station.say("plain", b"x", receipt=outcomes)
    await wait_until(lambda: outcomes.heard == [0])


PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()

_RIGHTS = re.search(r"^    ACL SETUSER relay .* (resetchannels .+)$", PAGE, re.MULTILINE)
_MORE_RIGHTS = re.search(r"^    (~relay:.+)$", PAGE, re.MULTILINE)
assert _RIGHTS is not None
assert _MORE_RIGHTS is not None
RIGHTS = f"{_RIGHTS[1]} {_MORE_RIGHTS[1]}"


@pytest.mark.parametrize("rule", ["resetchannels", "-publish"])
@pytest.mark.parametrize("key", [None, "k"])
async def test_a_message_that_may_not_be_published_gets_no_position(
    own_redis: RedisServer, connect: Connect, rule: str, key: str | None
) -> None:
    """It was refused, and kept: whoever read the history, or came back, got it, as often as it was tried again."""
    station = await connect(own_redis.add_user("relay", "secret", "&* ~* +@all"))
    (before,) = await publish(station, b"1")
    own_redis.allow("relay", rule)
    for _ in range(2):
        outcomes = Outcomes()
        station.say("h:c", b"refused", receipt=outcomes, key=key)
        await wait_until(lambda outcomes=outcomes: outcomes.errors)
        assert isinstance(outcomes.errors[0], PublishRefused)
    own_redis.allow("relay", "&*", "+publish")
    (after,) = await publish(station, b"2")
    assert after == Position(before.epoch, before.offset + 1)
    assert payloads(await station.broker.history.read("h:c")) == [b"1", b"2"]


async def test_the_rights_that_the_documentation_advises_are_enough(
    own_redis: RedisServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    station = await connect(own_redis.add_user("relay", "secret", RIGHTS))
    (position,) = await publish(station, b"x", key="k")
    assert await publish(station, b"x", key="k") == [position]
    assert payloads(await station.broker.history.read("h:c")) == [b"x"]
    await publish(station, *[b"x"] * 50, channel="big:c")
    await station.broker.history.remove("h:c")
    assert payloads(await station.broker.history.read("h:c", newest_first=True)) == []
    assert own_redis.admin.acl_log() == []
    assert "unknown" not in caplog.text


async def test_what_keeps_redis_from_keeping_histories_is_told_at_start(
    own_redis: RedisServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    own_redis.admin.config_set("maxmemory", "100mb")
    own_redis.admin.config_set("maxmemory-policy", "allkeys-lru")
    station = await connect(own_redis)
    await wait_until(lambda: "Redis may evict histories" in caplog.text)
    await wait_until(lambda: "Redis loses histories when it restarts" in caplog.text)
    assert "persistence=none" in caplog.text
    own_redis.kill_clients("normal")
    await wait_until(lambda: station.counters.bus_losses)
    await wait_until(lambda: not station.broker.problems)
    await publish(station, b"x")
    assert caplog.text.count("may evict") == caplog.text.count("loses histories") == 1, "once, not with each link"


async def test_a_redis_that_keeps_what_it_is_given_is_not_complained_of(
    own_redis: RedisServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    own_redis.admin.config_set("appendonly", "yes")
    station = await connect(own_redis)
    await publish(station, b"x")
    assert "WARNING" not in caplog.text


async def test_a_redis_that_says_nothing_of_itself_is_told(
    own_redis: RedisServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    station = await connect(own_redis.add_user("shy", "secret", f"{RIGHTS} -info -config|get"))
    positions = await publish(station, b"1", b"2")
    assert [position.offset for position in positions] == [1, 2]
    assert (await station.broker.history.read("h:c")).continues(positions[0]) is False
    assert (await station.broker.history.read("h:c", since=positions[0])).continues(positions[0])
    for event in ("memory policy of Redis is unknown", "persistence of Redis is unknown", "which primary it is"):
        assert event in caplog.text


async def test_a_full_redis_refuses(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    (before,) = await publish(station, b"1")
    own_redis.admin.config_set("maxmemory", 1)
    outcomes = Outcomes()
    station.say("h:c", b"2", receipt=outcomes)
    station.say("h:c", b"3", receipt=outcomes, key="k")
    station.say("plain", b"4", receipt=outcomes, key="k")
    await wait_until(lambda: len(outcomes.errors) == 3)
    assert all(isinstance(error, PublishRefused) and "OOM" in str(error) for error in outcomes.errors)
    own_redis.admin.config_set("maxmemory", 0)
    assert await publish(station, b"3", key="k") == [Position(before.epoch, 2)]
    outcomes = Outcomes()
    station.say("plain", b"4", receipt=outcomes, key="k")
    await wait_until(lambda: outcomes.repeated == [False])


async def test_a_message_past_the_history_is_delivered_without_a_position(
    own_redis: RedisServer, connect: Connect
) -> None:
    """`redis-cli PUBLISH` knows nothing of positions."""
    station = await connect(own_redis)
    positions = await publish(station, b"1")
    own_redis.admin.publish("relay:h:c", "by hand")
    own_redis.admin.publish("relay:h:c", seal(Message("h:c", b"by an older gateway", Kind.BINARY)))
    positions += await publish(station, b"2")
    await wait_until(lambda: len(station.sink.messages) == 4)
    assert station.sink.payloads("h:c") == [b"1", b"by hand", b"by an older gateway", b"2"]
    assert station.sink.positions("h:c") == [positions[0], None, None, positions[1]]
    assert payloads(await station.broker.history.read("h:c")) == [b"1", b"2"]
    assert station.counters.messages_unpositioned == 2


async def test_a_kept_message_that_cannot_be_read_is_a_hole(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    positions = await publish(station, b"1")
    own_redis.admin.xadd(HISTORY, {"m": b"\xffr\x77"}, id="2-1")
    StoredPosition.change(own_redis.admin, POSITION, offset=2)
    page = await station.broker.history.read("h:c", since=positions[0])
    assert (page.top.offset, page.messages) == (2, [])
    assert not page.continues(positions[0])
    assert station.counters.bus_errors == 1


@pytest.mark.parametrize("offset", [2**16 - 1, 2**32 - 1, 2**32 + 2**16, 2**48 - 1, 2**53 - 2])
async def test_large_offsets_are_counted_exactly(own_redis: RedisServer, connect: Connect, offset: int) -> None:
    station = await connect(own_redis)
    await publish(station, b"1")
    StoredPosition.change(own_redis.admin, POSITION, offset=offset)
    (position,) = await publish(station, b"2")
    assert position.offset == offset + 1
    await wait_until(lambda: len(station.sink.messages) == 2)
    assert station.sink.positions("h:c")[1] == position
    page = await station.broker.history.read("h:c", since=Position(position.epoch, offset))
    assert page.continues(Position(position.epoch, offset))
    assert page.messages[0].position == position


async def test_reading_while_redis_is_away_fails(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    await publish(station, b"1")
    own_redis.kill()
    with pytest.raises(HistoryError):
        await station.broker.history.read("h:c")
    with pytest.raises(HistoryError):
        await station.broker.history.remove("h:c")
    own_redis.start()
    await wait_until(lambda: not station.broker.problems)
    assert (await station.broker.history.read("h:c")).top.offset == 0


async def test_a_reading_of_another_redis_than_the_bus_fails(
    redis_with: RedisFactory, proxy_to: ProxyFactory, connect: Connect
) -> None:
    """An old primary that was left behind still answers, and knows nothing of what was published since."""
    old, new = redis_with(), redis_with()
    name = await proxy_to(old.port)
    station = await connect(name)
    await asyncio.gather(*(station.broker.history.read("h:c") for _ in range(3)))
    name.targets = (new.port,)
    for server in (old,):
        for client in server.admin.client_list():
            if client["name"].startswith("relay-"):
                server.admin.client_kill_filter(_id=client["id"])
    await wait_until(lambda: station.broker.state.server == new.admin.info("server")["run_id"])
    await wait_until(lambda: not station.broker.problems, what=lambda: station.broker.problems)
    (position,) = await publish(station, b"new")
    with pytest.raises(HistoryError, match="another Redis"):
        await station.broker.history.read("h:c")
    assert (await station.broker.history.read("h:c")).top == position


async def test_a_fault_of_one_reading_leaves_the_others_their_turn(
    own_redis: RedisServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    station = await connect(own_redis)
    await publish(station, b"1")
    faults = iter([ValueError("a fault of ours")])

    def fail_once(channel: str, envelope: bytes) -> Message:
        for fault in faults:
            raise fault
        return open_envelope(channel, envelope)

    monkeypatch.setattr(history, "open_envelope", fail_once)
    reads = [asyncio.ensure_future(station.broker.history.read("h:c")) for _ in range(4 * history.BATCH)]
    outcomes = await asyncio.gather(*reads, return_exceptions=True)
    assert 1 <= sum(isinstance(outcome, HistoryError) for outcome in outcomes) <= history.BATCH
    assert sum(isinstance(outcome, HistoryPage) for outcome in outcomes) >= 3 * history.BATCH
    assert caplog.text.count("histories not read") == 1


async def test_a_batch_is_bounded_by_what_it_may_bring(
    own_redis: RedisServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "BATCH_BYTES", 5 * NAMESPACES.options("h:c").history_bytes)
    station = await connect(own_redis)
    own_redis.admin.config_resetstat()
    for limit, batches in ((None, 6), (0, 1)):
        before = own_redis.calls("script|load")
        await asyncio.gather(*(station.broker.history.read("h:c", limit=limit) for _ in range(30)))
        assert own_redis.calls("script|load") == before + batches
    await station.broker.history.read("big:c")


async def test_a_silent_redis_fails_all_that_wait_and_stopping_too(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    await publish(station, b"1")
    own_redis.pause()
    reads = [asyncio.ensure_future(station.broker.history.read("h:c")) for _ in range(200)]
    reads[0].cancel()
    outcomes = await asyncio.gather(*reads[:64], return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert all(isinstance(outcome, HistoryError) for outcome in outcomes[1:])
    later = asyncio.ensure_future(station.broker.history.read("h:c"))
    await station.broker.history.close()
    with pytest.raises(HistoryError):
        await later
    assert all(
        isinstance(outcome, HistoryError) for outcome in await asyncio.gather(*reads[1:], return_exceptions=True)
    )
    with pytest.raises(HistoryError, match="ends"):
        await station.broker.history.read("h:c")
    own_redis.resume()


def _wait_for_copy(replica: RedisServer, offset: int) -> None:
    def copied() -> bool:
        try:
            known = StoredPosition.read(replica.admin, POSITION)
            return known is not None and known.offset == offset
        except redis.RedisError:
            return False

    wait_until_blocking(copied)
