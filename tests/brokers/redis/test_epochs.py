"""What begins another epoch: the position is lost, or Redis has lost messages."""

from __future__ import annotations

import asyncio

import pytest
import redis

from relay.brokers.history import HistoryError
from relay.position import Position
from tests.brokers.recording import Outcomes
from tests.brokers.redis.positioned_stations import POSITION, Connect, check_never_twice, payloads, publish
from tests.brokers.redis.positioned_stations import connect as connect
from tests.conftest import ProxyFactory, RedisFactory
from tests.harness.conditions import wait_until, wait_until_blocking
from tests.harness.redis_server import RedisServer
from tests.harness.stored_position import StoredPosition


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


def _wait_for_copy(replica: RedisServer, offset: int) -> None:
    def copied() -> bool:
        try:
            known = StoredPosition.read(replica.admin, POSITION)
            return known is not None and known.offset == offset
        except redis.RedisError:
            return False

    wait_until_blocking(copied)
