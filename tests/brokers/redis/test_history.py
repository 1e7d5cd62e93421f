"""Readings of histories while Redis is away, silent or wrong."""

from __future__ import annotations

import asyncio

import pytest

from relay.brokers.envelope import open_envelope
from relay.brokers.history import HistoryError, HistoryPage
from relay.brokers.redis import history
from relay.message import Message
from tests.brokers.redis.positioned_stations import NAMESPACES, Connect, publish
from tests.brokers.redis.positioned_stations import connect as connect
from tests.conftest import ProxyFactory, RedisFactory
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer


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
