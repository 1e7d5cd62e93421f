"""Positions on a Redis that loses what it had, or is replaced: no offset is given out twice under one epoch."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay.brokers.envelope import seal
from relay.brokers.redis import broker, scripts
from relay.message import Kind, Message
from relay.position import Position
from tests.brokers.recording import Outcomes
from tests.brokers.redis.positioned_stations import HISTORY, NAMESPACES, POSITION, Connect, payloads, publish
from tests.brokers.redis.positioned_stations import connect as connect
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer
from tests.harness.stored_position import StoredPosition


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
