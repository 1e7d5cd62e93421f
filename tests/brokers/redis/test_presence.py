"""Presence on a Redis that is large, loses what it had, refuses, or is replaced; and gateways that are dead."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from relay.brokers import BrokerOptions
from relay.brokers.presence import REFUSED, PresenceError, PresenceStats, Tally
from relay.brokers.redis import presence, presence_reader
from relay.brokers.redis.address import parse_address
from relay.brokers.redis.presence_calls import PresenceCalls
from relay.brokers.redis.presence_scripts import BURY, PART
from relay.brokers.redis.script_runner import ScriptRunner
from relay.channel import EVENTS
from relay.member import Member
from relay.namespaces import ChannelOptions, Namespaces
from tests.brokers.presence_events import come, go, kept, member, told, whole
from tests.brokers.recording import Station
from tests.conftest import RedisFactory
from tests.harness.conditions import wait_until, wait_until_blocking
from tests.harness.redis_server import RedisServer

NAMESPACES = Namespaces(named={"p": ChannelOptions(presence=True), "e": ChannelOptions(presence=True, join_leave=True)})

ANN, BOB, EVE = member(1, "ann"), member(2, "bob"), member(3)

GATEWAYS, USERS = "relay:{e:c}:presence", "relay:{e:c}:present"

Connect = Callable[..., Awaitable[Station]]


@pytest_asyncio.fixture
async def connect() -> AsyncIterator[Connect]:
    """Start gateways that hear the events of `e:c`: `await connect(server)`; ready when it returns."""
    started: list[Station] = []

    async def start(server: RedisServer | str, patience: float = 30.0, ttl: float = 3600.0) -> Station:
        url = server if isinstance(server, str) else server.url
        options = BrokerOptions(url, timeout=patience, probe_interval=0.1, namespaces=NAMESPACES, presence_ttl=ttl)
        station = Station(options)
        started.append(station)
        await station.broker.start()
        await station.broker.subscribe(f"{EVENTS}e:c")
        await wait_until(lambda: not station.broker.problems, what=lambda: station.broker.problems)
        return station

    yield start
    for station in started:
        await station.broker.stop()


async def present(station: Station, channel: str = "e:c") -> list[Member]:
    """Return who is on a channel, by ids."""
    return sorted(await station.broker.presence.members(channel), key=lambda some: some.client)


def kill(redis: RedisServer, station: Station) -> None:
    """Let so much time pass for a gateway that it is dead, and for no other."""
    (gateway,) = gateways_of(redis) & {_id_of(station)}
    redis.admin.zadd(GATEWAYS, {gateway: 1})


def gateways_of(redis: RedisServer) -> set[str]:
    """Return the ids of gateways on `e:c`."""
    names: Any = redis.admin.zrange(GATEWAYS, 0, -1)
    return {name.decode() for name in names}


def _id_of(station: Station) -> str:
    store = station.broker.presence
    assert isinstance(store, presence.RedisPresenceStore)
    return store.gateway


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


async def test_a_gateway_that_is_not_heard_has_no_members(own_redis: RedisServer, connect: Connect) -> None:
    here, there = await connect(own_redis), await connect(own_redis)
    await here.broker.presence.update([come("e:c", ANN, EVE)])
    await there.broker.presence.update([come("e:c", BOB)])
    kill(own_redis, here)
    assert await present(here) == await present(there) == [BOB]
    assert await there.broker.presence.stats("e:c") == PresenceStats(1, 1)


async def test_time_alone_makes_a_gateway_dead(own_redis: RedisServer, connect: Connect) -> None:
    here, there = await connect(own_redis, ttl=0.2), await connect(own_redis)
    await there.broker.presence.update([come("e:c", BOB)])
    await here.broker.presence.update([come("e:c", ANN)])

    async def only_bob() -> bool:
        return await present(there) == [BOB]

    await wait_until(only_bob)


async def test_the_users_of_a_dead_gateway_are_told_to_have_gone_where_they_are_nowhere_else(
    own_redis: RedisServer, connect: Connect
) -> None:
    here, there = await connect(own_redis), await connect(own_redis)
    other = member(10, "ann")
    await here.broker.presence.update([come("e:c", ANN, BOB, EVE)])
    await there.broker.presence.update([come("e:c", other)])
    kill(own_redis, here)
    for _ in range(2):
        assert await kept(there.broker.presence.refresh(["e:c"])) == [1]
    await wait_until(lambda: len(told(there, "e:c")) == 2)
    assert told(there, "e:c")[1] == ([EVE, BOB], [])
    await there.broker.presence.update([go("e:c", other)])
    await wait_until(lambda: told(there, "e:c")[2:] == [([other], [])])
    assert own_redis.admin.keys(f"{GATEWAYS}*") + own_redis.admin.keys(f"{USERS}*") == []


async def test_a_user_that_comes_back_before_its_gateway_is_buried_neither_comes_nor_goes(
    own_redis: RedisServer, connect: Connect
) -> None:
    here, there = await connect(own_redis), await connect(own_redis)
    await here.broker.presence.update([come("e:c", ANN, BOB)])
    kill(own_redis, here)
    again = member(10, "ann")
    await there.broker.presence.update([come("e:c", again)])
    await there.broker.presence.refresh(["e:c"])
    await wait_until(lambda: told(there, "e:c") == [([], [ANN, BOB]), ([BOB], [])])
    assert await present(there) == [again]


async def test_gateways_that_bury_together_tell_of_each_user_once(own_redis: RedisServer, connect: Connect) -> None:
    dead = await connect(own_redis)
    heirs = [await connect(own_redis) for _ in range(3)]
    crowd = [member(number, f"user {number}") for number in range(5 * PART + 10)]
    await dead.broker.presence.update([come("e:c", *crowd)])
    for number, heir in enumerate(heirs):
        await heir.broker.presence.update([come("e:c", member(10**6 + number, f"user {number}"))])
    kill(own_redis, dead)
    counts = await asyncio.gather(*[kept(heir.broker.presence.refresh(["e:c"])) for heir in heirs])
    assert counts == [[1]] * 3

    def left() -> list[Member]:
        return list(chain.from_iterable(left for left, _ in told(heirs[0], "e:c")))

    await wait_until(lambda: len(left()) >= len(crowd) - 3)
    assert sorted(left(), key=lambda some: some.client) == crowd[3:]
    assert len(gateways_of(own_redis)) == 3
    assert own_redis.admin.hlen(USERS) == 3


async def test_a_gateway_that_was_taken_for_dead_learns_that_it_has_nothing(
    own_redis: RedisServer, connect: Connect
) -> None:
    here, there = await connect(own_redis), await connect(own_redis)
    await here.broker.presence.update([come("e:c", ANN)])
    await there.broker.presence.update([come("e:c", BOB)])
    kill(own_redis, here)
    await there.broker.presence.refresh(["e:c"])
    assert await kept(here.broker.presence.refresh(["e:c"])) == [0]
    assert len(gateways_of(own_redis)) == 1
    assert await kept(here.broker.presence.update([whole("e:c", ANN)])) == [1]
    assert await kept(here.broker.presence.refresh(["e:c"])) == [1]
    assert await present(there) == [ANN, BOB]


async def test_a_gateway_that_comes_back_before_it_is_buried_has_what_it_had(
    own_redis: RedisServer, connect: Connect
) -> None:
    here, there = await connect(own_redis), await connect(own_redis)
    await here.broker.presence.update([come("e:c", ANN)])
    kill(own_redis, here)
    assert await kept(here.broker.presence.refresh(["e:c"])) == [1]
    assert await kept(there.broker.presence.refresh(["e:c"])) == [0]
    assert await present(there) == [ANN]


async def test_a_gateway_that_came_back_meanwhile_is_not_buried(own_redis: RedisServer, connect: Connect) -> None:
    here = await connect(own_redis)
    await here.broker.presence.update([come("e:c", ANN)])
    runner = ScriptRunner(parse_address(own_redis.url), 30.0, 1, set)
    call = PresenceCalls("another", "relay:", 60.0, NAMESPACES).bury("e:c", _id_of(here))
    assert (await runner.run((BURY,), [call])).replies == [0]
    assert await present(here) == [ANN]
    kill(own_redis, here)
    assert (await runner.run((BURY,), [call])).replies == [0]
    assert await present(here) == []
    await wait_until(lambda: told(here, "e:c") == [([], [ANN]), ([ANN], [])])
    await runner.close()


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
    own_redis.admin.hset(f"{USERS}:{_id_of(here)}", "user:stray", "{}")
    store = here.broker.presence
    assert isinstance(store, presence.RedisPresenceStore)
    run, seen = store._run, []

    async def watched(*args: Any) -> Any:
        replies = await run(*args)
        held: Any = own_redis.admin.hgetall(USERS)
        seen.append(sum(_id_of(here).encode() in holders for holders in held.values()))
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
    old = _id_of(station)
    own_redis.restart()
    await wait_until(lambda: station.counters.bus_losses and not station.broker.problems)
    assert own_redis.admin.hkeys(f"{GATEWAYS}:{old}") == [ANN.client.encode()]
    assert await kept(station.broker.presence.refresh(["e:c"])) == [0]
    assert await kept(station.broker.presence.update([whole("e:c", BOB)])) == [1]
    assert await present(station) == [ANN, BOB], "until it is dead"
    own_redis.admin.zadd(GATEWAYS, {old: 1})
    assert await present(station) == [BOB]
    assert await kept(station.broker.presence.refresh(["e:c"])) == [1]
    assert gateways_of(own_redis) == {_id_of(station)}
    assert _id_of(station) != old


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


async def test_a_redis_that_refuses_one_channel_for_a_reason_of_its_own_fails(
    own_redis: RedisServer, connect: Connect
) -> None:
    """So that there are pauses between the calls."""
    assert _RIGHTS is not None
    station = await connect(own_redis.add_user("old", "secret", _RIGHTS[1]))
    for channels in (["p:1"], ["p:1", "p:2"]):
        with pytest.raises(PresenceError, match="evalsha"):
            await station.broker.presence.refresh(channels)


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
    own_redis.admin.hset(f"{GATEWAYS}:{_id_of(station)}", ANN.client, text)
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


PAGE = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()

_RIGHTS = re.search(r"^    ACL SETUSER relay .* (resetchannels .+)$", PAGE, re.MULTILINE)
_MORE_RIGHTS = re.search(r"^For presence, .*\n\n    (~relay:.+)$", PAGE, re.MULTILINE)


async def test_the_rights_that_the_documentation_advises_are_enough(own_redis: RedisServer, connect: Connect) -> None:
    assert _RIGHTS is not None
    assert _MORE_RIGHTS is not None
    url = own_redis.add_user("relay", "secret", f"{_RIGHTS[1]} {_MORE_RIGHTS[1]}")
    here, there = await connect(url), await connect(url)
    await here.broker.presence.update([come("e:c", ANN, BOB)])
    await there.broker.presence.update([come("e:c", EVE), come("p:c", EVE)])
    kill(own_redis, here)
    assert await kept(there.broker.presence.refresh(["e:c", "p:c"])) == [1, 1]
    assert await kept(there.broker.presence.update([whole("e:c", EVE), go("p:c", EVE)])) == [1, 0]
    assert await present(there) == [EVE]
    await wait_until(lambda: len(told(there, "e:c")) == 3)
    assert own_redis.admin.acl_log() == []


async def test_a_user_without_the_right_to_scripts_is_told_why(own_redis: RedisServer, connect: Connect) -> None:
    assert _RIGHTS is not None
    station = await connect(own_redis.add_user("old", "secret", _RIGHTS[1]))
    with pytest.raises(PresenceError, match="evalsha"):
        await station.broker.presence.update([come("e:c", ANN)])


async def test_a_cluster_finds_all_keys_of_a_call_in_one_slot(redis_with: RedisFactory, connect: Connect) -> None:
    server = redis_with(options=["--cluster-enabled", "yes"])
    server.admin.execute_command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")  # type: ignore[no-untyped-call]
    await asyncio.to_thread(wait_until_blocking, lambda: server.admin.cluster("INFO")["cluster_state"] == "ok")
    here, there = await connect(server), await connect(server)
    for channel in ("e:c", "p:c", "e:}{", "e:{}a{b}"):
        await here.broker.presence.update([come(channel, ANN, BOB)])
        await there.broker.presence.update([come(channel, EVE), whole("e:other", EVE)])
        server.admin.zadd(f"relay:{{{channel}}}:presence", {_id_of(here): 1})
        assert await kept(there.broker.presence.refresh([channel])) == [1]
        assert await present(there, channel) == [EVE]
    await wait_until(lambda: len(told(there, "e:c")) == 3)
