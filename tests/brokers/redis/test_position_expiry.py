"""How long positions and streams live in Redis."""

from __future__ import annotations

import pytest

from relay.brokers.history import FRESH_SECONDS
from relay.position import Position
from tests.brokers.recording import Outcomes
from tests.brokers.redis.documented_rights import FOR_POSITIONS
from tests.brokers.redis.positioned_stations import HISTORY, POSITION, Connect, payloads, publish
from tests.brokers.redis.positioned_stations import connect as connect
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer
from tests.harness.stored_position import StoredPosition


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
    station = await connect(own_redis.add_user("half", "secret", f"{FOR_POSITIONS} -xadd"))
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
