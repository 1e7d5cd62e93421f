"""Gateways that die with members, or are taken for dead."""

from __future__ import annotations

import asyncio
from itertools import chain

from relay.brokers.presence import PresenceStats
from relay.brokers.redis.address import parse_address
from relay.brokers.redis.presence_calls import PresenceCalls
from relay.brokers.redis.presence_scripts import BURY, PART
from relay.brokers.redis.script_runner import ScriptRunner
from relay.member import Member
from tests.brokers.presence_events import come, go, kept, member, told, whole
from tests.brokers.redis.present_stations import (
    ANN,
    BOB,
    EVE,
    GATEWAYS,
    NAMESPACES,
    USERS,
    Connect,
    gateways_of,
    id_of,
    kill,
    present,
)
from tests.brokers.redis.present_stations import connect as connect
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer


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
    call = PresenceCalls("another", "relay:", 60.0, NAMESPACES).bury("e:c", id_of(here))
    assert (await runner.run((BURY,), [call])).replies == [0]
    assert await present(here) == [ANN]
    kill(own_redis, here)
    assert (await runner.run((BURY,), [call])).replies == [0]
    assert await present(here) == []
    await wait_until(lambda: told(here, "e:c") == [([], [ANN]), ([ANN], [])])
    await runner.close()
