"""Presence on a Redis that is large, loses what it had, refuses, or is replaced; and gateways that are dead."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from relay.brokers.presence import REFUSED, PresenceError, PresenceStats, Tally
from relay.brokers.redis import presence, presence_reader
from relay.brokers.redis.presence_scripts import PART
from tests.brokers.presence_events import come, go, kept, member, told, whole
from tests.brokers.redis.present_stations import ANN, BOB, GATEWAYS, USERS, Connect, gateways_of, id_of, present
from tests.brokers.redis.present_stations import connect as connect
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer


async def test_ten_thousand_clients_of_a_channel_are_told_in_parts_and_refreshed_at_once(
    own_redis: RedisServer, connect: Connect
) -> None:
    station = await connect(own_redis)
    crowd = [member(number, f"user {number}") for number in range(10_000)]
    own_redis.admin.config_resetstat()
    assert await kept(station.broker.presence.update([come("e:c", *crowd)])) == [10_000]
    assert own_redis.calls("evalsha") <= 2 * 10_000 / PART + 1
    assert own_redis.calls("publish") < 100
    own_redis.admin.config_resetstat()
    assert await kept(station.broker.presence.refresh(["e:c"])) == [10_000]
    assert own_redis.calls("evalsha") == 1
    assert await station.broker.presence.stats("e:c") == PresenceStats(10_000, 10_000)
    assert await present(station) == crowd


async def test_many_channels_are_refreshed_in_batches(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    channels = [f"p:{number}" for number in range(1000)]
    assert await kept(station.broker.presence.update([come(name, ANN, BOB) for name in channels])) == [2] * 1000
    own_redis.admin.config_resetstat()
    assert await kept(station.broker.presence.refresh(channels)) == [2] * 1000
    assert own_redis.calls("evalsha") == 1000
    assert own_redis.calls("script|load") == 1000 // presence.BATCH + 1
    own_redis.admin.config_resetstat()
    assert await kept(station.broker.presence.update([whole(name, ANN) for name in channels])) == [1] * 1000
    assert own_redis.calls("hscan") == 2000
    assert own_redis.calls("info") < 60, "one in each pipeline"


async def test_what_an_emptied_redis_has_lost_is_told_whole_and_in_silence(
    own_redis: RedisServer, connect: Connect
) -> None:
    here, there = await connect(own_redis), await connect(own_redis)
    for station, some in ((here, ANN), (there, BOB)):
        await station.broker.presence.update([come("e:c", some)])
    own_redis.admin.flushall()
    for station, some in ((here, ANN), (there, BOB)):
        assert await kept(station.broker.presence.refresh(["e:c"])) == [0]
        assert await kept(station.broker.presence.update([whole("e:c", some)])) == [1]
    assert await present(here) == [ANN, BOB]
    await here.broker.presence.update([go("e:c", ANN)])
    await wait_until(lambda: told(here, "e:c") == [([], [ANN]), ([], [BOB]), ([ANN], [])])


async def test_what_is_told_whole_is_never_gone_meanwhile(
    own_redis: RedisServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another gateway that loses its client of the same user at that time tells of no user who is still there."""
    here, there = await connect(own_redis), await connect(own_redis)
    crowd = [member(number, f"user {number}") for number in range(2 * PART + 10)]
    others = [member(10**6 + number, some.user) for number, some in enumerate(crowd)]
    await here.broker.presence.update([come("e:c", *crowd)])
    await there.broker.presence.update([come("e:c", *others)])
    own_redis.admin.hset(f"{USERS}:{id_of(here)}", "user:stray", "{}")
    store = here.broker.presence
    assert isinstance(store, presence.RedisPresenceStore)
    run, seen = store._run, []

    async def watched(*args: Any) -> Any:
        replies = await run(*args)
        held: Any = own_redis.admin.hgetall(USERS)
        seen.append(sum(id_of(here).encode() in holders for holders in held.values()))
        return replies

    monkeypatch.setattr(store, "_run", watched)
    assert await store.update([whole("e:c", *crowd)]) == [Tally(len(crowd), len(crowd))]
    assert set(seen) == {len(crowd)}


async def test_an_older_copy_is_not_taken_for_what_was_told(own_redis: RedisServer, connect: Connect) -> None:
    """Though it has as many members."""
    station = await connect(own_redis)
    await station.broker.presence.update([come("e:c", ANN)])
    own_redis.admin.save()
    await station.broker.presence.update([come("e:c", BOB, left=[ANN], gone=[ANN])])
    old = id_of(station)
    own_redis.restart()
    await wait_until(lambda: station.counters.bus_losses and not station.broker.problems)
    assert own_redis.admin.hkeys(f"{GATEWAYS}:{old}") == [ANN.client.encode()]
    assert await kept(station.broker.presence.refresh(["e:c"])) == [0]
    assert await kept(station.broker.presence.update([whole("e:c", BOB)])) == [1]
    assert await present(station) == [ANN, BOB], "until it is dead"
    own_redis.admin.zadd(GATEWAYS, {old: 1})
    assert await present(station) == [BOB]
    assert await kept(station.broker.presence.refresh(["e:c"])) == [1]
    assert gateways_of(own_redis) == {id_of(station)}
    assert id_of(station) != old


async def test_scripts_that_were_flushed_are_loaded_again(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    for number in range(3):
        own_redis.admin.script_flush()
        assert await kept(station.broker.presence.update([come("e:c", member(number))])) == [number + 1]
        own_redis.admin.script_flush()
        assert await kept(station.broker.presence.refresh(["e:c"])) == [number + 1]


async def test_all_keys_expire_and_those_of_users_last(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis, ttl=100.0)
    await station.broker.presence.update([come("e:c", ANN)])
    lives = {key: own_redis.admin.ttl(key) for key in own_redis.admin.keys("relay:{e:c}*")}
    assert len(lives) == 4
    for key, seconds in lives.items():
        ends = 200 if b":presence" in key else 300
        assert ends - 100 < seconds <= ends
        own_redis.admin.expire(key, 1000)
    await station.broker.presence.refresh(["e:c"])
    assert max(own_redis.admin.ttl(key) for key in lives) <= 300


async def test_a_channel_that_is_refused_hurts_no_other(
    own_redis: RedisServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    """Such as one whose keys another program has written."""
    station = await connect(own_redis)
    own_redis.admin.set("relay:{p:bad}:presence", "x")
    store = station.broker.presence
    changes = [come(name, ANN) for name in ("p:1", "p:bad", "p:2")]
    assert await store.update(changes) == [Tally(1, 0), REFUSED, Tally(1, 0)]
    assert await store.refresh(["p:bad", "p:1"]) == [REFUSED, Tally(1, 0)]
    assert "presence refused" in caplog.text
    assert "p:bad" in caplog.text
    assert await store.refresh(["p:bad"]) == await store.update([come("p:bad", ANN)]) == [REFUSED]
    own_redis.admin.set("relay:{p:worse}:presence", "x")
    assert await store.refresh(["p:bad", "p:worse"]) == [REFUSED, REFUSED], "each has a fault of its own"
    with pytest.raises(PresenceError, match="WRONGTYPE"):
        await store.members("p:bad")


async def test_a_full_redis_refuses(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    await station.broker.presence.update([come("e:c", ANN)])
    own_redis.admin.config_set("maxmemory", 1)
    with pytest.raises(PresenceError, match="maxmemory"):
        await station.broker.presence.update([come("e:c", BOB)])
    assert await present(station) == [ANN]
    own_redis.admin.config_set("maxmemory", 0)
    assert await kept(station.broker.presence.update([come("e:c", BOB)])) == [2]


@pytest.mark.parametrize(
    "text",
    [b"{", b'{"client":"\xff"}', b'{"client":"1","info":%b}' % (b"[" * 100_000 + b"]" * 100_000)],
    ids=["no JSON", "no UTF-8", "too deep"],
)
async def test_a_member_that_cannot_be_read_is_left_out(
    own_redis: RedisServer, connect: Connect, caplog: pytest.LogCaptureFixture, text: bytes
) -> None:
    station = await connect(own_redis)
    await station.broker.presence.update([come("e:c", ANN, BOB)])
    own_redis.admin.hset(f"{GATEWAYS}:{id_of(station)}", ANN.client, text)
    assert await present(station) == [BOB]
    assert station.counters.bus_errors == 1
    assert "member refused" in caplog.text


async def test_members_of_many_gateways_are_read_in_parts(own_redis: RedisServer, connect: Connect) -> None:
    stations = [await connect(own_redis) for _ in range(presence_reader.SCANS + 2)]
    crowd = [member(number) for number in range(200 * len(stations))]
    for number, station in enumerate(stations):
        await station.broker.presence.update([come("p:c", *crowd[200 * number :][:200])])
    assert await present(stations[0], "p:c") == crowd


async def test_many_who_ask_wait_for_one_another_and_hinder_no_change(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    store = station.broker.presence
    await store.update([come("p:c", *[member(number) for number in range(600)])])
    before = len(own_redis.admin.client_list())
    asked = [asyncio.create_task(store.stats("p:c")) for _ in range(100)]
    assert await kept(store.update([come("p:c", member(601))])) == [601]
    assert not all(task.done() for task in asked)
    assert {stats.clients for stats in await asyncio.gather(*asked)} <= {600, 601}
    assert len(own_redis.admin.client_list()) <= before + presence.READERS


async def test_a_caller_that_leaves_does_not_stop_a_change(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    task = asyncio.create_task(station.broker.presence.update([come("e:c", ANN)]))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await kept(station.broker.presence.refresh(["e:c"])) == [1]


async def test_a_caller_that_leaves_before_its_turn_is_read_nothing(own_redis: RedisServer, connect: Connect) -> None:
    """Requests time out: what nobody waits for would pile up."""
    station = await connect(own_redis)
    store = station.broker.presence
    assert isinstance(store, presence.RedisPresenceStore)
    own_redis.pause()
    asked = [asyncio.create_task(store.stats("p:c")) for _ in range(50)]
    await wait_until(lambda: len(store._runner.tasks) == 50)
    for task in asked:
        task.cancel()
    await asyncio.wait(asked)
    await wait_until(lambda: len(store._runner.tasks) == presence.READERS)
    own_redis.resume()
    await wait_until(lambda: not store._runner.tasks)
    assert await store.stats("p:c") == PresenceStats(0, 0)


async def test_without_redis_nothing_waits_for_ever(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis, patience=0.3)
    own_redis.pause()
    store = station.broker.presence
    calls = [store.update([come("e:c", ANN)]), store.refresh(["e:c"]), store.members("e:c"), store.stats("e:c")]
    for outcome in await asyncio.gather(*calls, return_exceptions=True):
        assert isinstance(outcome, PresenceError)
        assert "no answer" in str(outcome)
    own_redis.kill()
    with pytest.raises(PresenceError, match="refuses or fails"):
        await store.update([come("e:c", ANN)])


async def test_who_still_waits_at_the_end_is_told(own_redis: RedisServer, connect: Connect) -> None:
    station = await connect(own_redis)
    own_redis.pause()
    store = station.broker.presence
    waiting = [asyncio.create_task(store.update([come("e:c", ANN)])) for _ in range(3)]
    waiting.append(asyncio.create_task(store.refresh([])))
    reading = [asyncio.create_task(store.members("e:c")) for _ in range(3)]
    await asyncio.sleep(0)
    await store.close()
    for outcome in await asyncio.gather(*waiting, *reading, return_exceptions=True):
        assert isinstance(outcome, PresenceError)
        assert str(outcome) == "the gateway ends"
    with pytest.raises(PresenceError, match="the gateway ends"):
        await store.update([])
    own_redis.resume()
