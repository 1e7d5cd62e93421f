"""The rights that presence needs on Redis."""

from __future__ import annotations

import asyncio

import pytest

from relay.brokers.presence import PresenceError
from tests.brokers.presence_events import come, go, kept, told, whole
from tests.brokers.redis.documented_rights import FOR_MESSAGES, FOR_PRESENCE
from tests.brokers.redis.present_stations import ANN, BOB, EVE, Connect, id_of, kill, present
from tests.brokers.redis.present_stations import connect as connect
from tests.conftest import RedisFactory
from tests.harness.conditions import wait_until, wait_until_blocking
from tests.harness.redis_server import RedisServer


async def test_a_redis_that_refuses_one_channel_for_a_reason_of_its_own_fails(
    own_redis: RedisServer, connect: Connect
) -> None:
    """So that there are pauses between the calls."""
    station = await connect(own_redis.add_user("old", "secret", FOR_MESSAGES))
    for channels in (["p:1"], ["p:1", "p:2"]):
        with pytest.raises(PresenceError, match="evalsha"):
            await station.broker.presence.refresh(channels)


async def test_the_rights_that_the_documentation_advises_are_enough(own_redis: RedisServer, connect: Connect) -> None:
    url = own_redis.add_user("relay", "secret", FOR_PRESENCE)
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
    station = await connect(own_redis.add_user("old", "secret", FOR_MESSAGES))
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
        server.admin.zadd(f"relay:{{{channel}}}:presence", {id_of(here): 1})
        assert await kept(there.broker.presence.refresh([channel])) == [1]
        assert await present(there, channel) == [EVE]
    await wait_until(lambda: len(told(there, "e:c")) == 3)
