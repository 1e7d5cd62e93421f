"""A Redis that doesn't keep histories, or not for this user."""

from __future__ import annotations

import pytest

from relay.brokers.history import HistoryError
from relay.errors import PublishRefused
from relay.position import Position
from tests.brokers.recording import Outcomes
from tests.brokers.redis.documented_rights import FOR_POSITIONS
from tests.brokers.redis.positioned_stations import Connect, payloads, publish
from tests.brokers.redis.positioned_stations import connect as connect
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer


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
    station = await connect(own_redis.add_user("relay", "secret", FOR_POSITIONS))
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
    station = await connect(own_redis.add_user("shy", "secret", f"{FOR_POSITIONS} -info -config|get"))
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
