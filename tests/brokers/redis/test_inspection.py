"""What a Redis says of itself, and which rights its user lacks."""

from __future__ import annotations

import asyncio

import pytest

from relay.brokers.redis import inspection
from relay.brokers.redis.address import parse_address
from relay.brokers.redis.inspection import Inspection, inspect
from relay.brokers.redis.rights import Need, rights
from tests.brokers.redis.documented_rights import RULES
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer


async def look(url: str, limit: float = 10.0) -> Inspection:
    return await inspect(parse_address(url), "relay:", limit)


@pytest.mark.parametrize("need", Need)
def test_the_documentation_has_the_same_rights(need: Need) -> None:
    """`config|get` isn't among the others: what isn't known without it is told where it is missing."""
    written, everybody = ({rule for rule in RULES[who].split() if rule[0] == "+"} for who in (need, Need.ALWAYS))
    needed = {right.rule for right in rights("relay:") if right.need is need}
    assert written - {"+config|get"} <= needed <= written | everybody


async def test_a_user_with_the_rights_of_the_documentation_lacks_none(own_redis: RedisServer) -> None:
    found = await look(own_redis.add_user("relay", "secret", " ".join(RULES.values())))
    assert found.refused == ()
    assert own_redis.admin.acl_log() == []


@pytest.mark.parametrize("rule", sorted({right.rule for right in rights("relay:")}))
async def test_each_right_that_is_missing_is_found(redis_server: RedisServer, rule: str) -> None:
    """And no other."""
    url = redis_server.add_user(f"without{rule}", "secret", f"&* ~* +@all -{rule[1:]}")
    assert {found.rule for found in (await look(url)).refused} == {rule}


async def test_a_user_without_rights_to_keys_and_channels_lacks_what_they_are_for(own_redis: RedisServer) -> None:
    found = await look(own_redis.add_user("limited", "secret", "resetchannels resetkeys +@all"))
    assert {right.rule for right in found.refused} >= {"+publish", "+subscribe", "+zadd", "+evalsha", "+hset"}


async def test_asking_changes_nothing(own_redis: RedisServer) -> None:
    """Not even where the keys are there."""
    admin = own_redis.admin
    assert await look(own_redis.url) is not None
    assert admin.dbsize() == 0
    admin.zadd("relay:blocked_users", {"eve": 2.0})
    admin.expire("relay:blocked_users", 1000)
    admin.set("relay:namespaces", "{}")
    before = admin.expiretime("relay:blocked_users")
    await look(own_redis.url)
    assert admin.zrange("relay:blocked_users", 0, -1, withscores=True) == [(b"eve", 2.0)]
    assert admin.expiretime("relay:blocked_users") == before
    assert sorted(admin.keys()) == [b"relay:blocked_users", b"relay:namespaces"]


async def test_what_redis_says_of_itself(own_redis: RedisServer) -> None:
    own_redis.admin.config_set("maxmemory", "100mb")
    own_redis.admin.config_set("timeout", 7)
    found = await look(own_redis.url)
    assert found.place == f"127.0.0.1:{own_redis.port}"
    assert found.seconds > 0
    assert found.info["maxmemory"] == str(100 * 1024 * 1024)
    assert found.info["maxmemory_policy"] == "noeviction"
    assert found.info["aof_enabled"] == "0"
    assert "redis_version" in found.info
    assert found.parameters["timeout"] == "7"
    assert "pubsub 33554432 8388608 60" in found.parameters["client-output-buffer-limit"]


async def test_what_is_refused_is_left_out(own_redis: RedisServer) -> None:
    found = await look(own_redis.add_user("limited", "secret", "&* ~* +@all -config -info"))
    assert found.info == {}
    assert found.parameters == {}


async def test_a_command_that_is_unknown_is_one_that_is_refused(own_redis: RedisServer) -> None:
    """Services that rent out a Redis take commands away."""
    own_redis.kill()
    with RedisServer(without=["CONFIG", "XADD"]) as server:
        found = await look(server.url)
    assert found.parameters == {}
    assert [right.rule for right in found.refused] == ["+xadd"]


async def test_a_redis_that_can_not_be_reached_is_told_in_words(own_redis: RedisServer) -> None:
    url = own_redis.url
    own_redis.kill()
    with pytest.raises(ConnectionError, match=r"connecting to 127\.0\.0\.1:\d+: Connection refused"):
        await look(url)


def pause_writes(server: RedisServer) -> None:
    """Let the server answer questions, and nothing that might write, such as PUBLISH."""
    server.admin.execute_command("CLIENT", "PAUSE", "600000", "WRITE")  # type: ignore[no-untyped-call]


async def test_a_redis_that_falls_silent_meanwhile_is_told_in_words(own_redis: RedisServer) -> None:
    pause_writes(own_redis)
    with pytest.raises(ConnectionError, match=rf"127\.0\.0\.1:{own_redis.port} has not answered within 3 s"):
        await look(own_redis.url, limit=3)


async def test_a_redis_that_ends_meanwhile_is_told_in_words(own_redis: RedisServer) -> None:
    """As one does that takes a user away."""
    pause_writes(own_redis)
    asking = asyncio.create_task(look(own_redis.url, limit=60))
    await wait_until(lambda: own_redis.calls("config|get") == len(inspection.PARAMETERS))
    own_redis.kill_clients("normal")
    with pytest.raises(ConnectionError, match="has ended the connection: closed by Redis"):
        await asking
