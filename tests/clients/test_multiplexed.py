"""What several channels bring a client in one tick, and what it costs."""

from __future__ import annotations

import asyncio
import json

import pytest

from relay.clients.websocket import WebSocket
from relay.errors import Disconnect
from relay.hub import MAX_BATCH_BYTES
from tests.clients.multiplexed_pair import TEN, Wrapped, joined, one_tick, publish, say
from tests.clients.multiplexed_pair import _registered as _registered
from tests.conftest import EmbeddedFactory
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket, close_of
from tests.protocols.multiplexed import PING

pytestmark = pytest.mark.usefixtures("short_close_timeout")


async def test_ten_busy_channels_are_one_write_in_a_tick(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    node, counters = parts_of(gateway).context.node, gateway.counters
    async with joined(gateway, *TEN) as (client, connection):
        transport = Wrapped(connection)
        before = counters.writes
        for _ in range(3):
            publish(node, TEN * 2)
            await one_tick()
            (write,) = transport.taken()
            assert sorted(said["channel"] for said in write) == sorted(TEN * 2)
        assert counters.deliveries == 60
        assert counters.writes - before == 3
        assert counters.bytes_delivered == 60 * len(b'__{"channel":"c0","data":1}')
        for _ in range(60):
            assert json.loads((await client.frame()).payload)["data"] == 1


async def test_answers_stand_in_the_same_write_and_in_order(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    node = parts_of(gateway).context.node
    async with joined(gateway, "a", "b") as (_, connection):
        transport = Wrapped(connection)
        publish(node, "ab")
        say(connection, id=1, subscribe="c")
        publish(node, "c")
        say(connection, id=2, publish={"channel": "a", "data": 2})
        say(connection, id=3, unsubscribe="b")
        await one_tick()
        (write,) = transport.taken()
        answers = [said for said in write if "id" in said]
        assert [said["id"] for said in answers] == [1, 2, 3]
        assert {"channel": "b", "data": 1} not in write, "unsubscribed before it was fanned out"
        assert write.index({"id": 1, "ok": True}) < write.index({"channel": "c", "data": 1})
        assert {"channel": "a", "data": 2} in write


async def test_a_ping_overtakes_no_answer(embedded: EmbeddedFactory) -> None:
    """It may be the one that tells the client of pings: one before has no pong, and the client would be closed."""
    (gateway,) = await embedded(1)
    async with joined(gateway, "a") as (_, connection):
        transport = Wrapped(connection)
        connection.send(b"answer")
        connection.ping()
        assert transport.writes == [b"answer", PING]


async def test_an_unsubscription_comes_behind_what_was_gathered_before(embedded: EmbeddedFactory) -> None:
    """Nothing of the channel follows the answer."""
    (gateway,) = await embedded(1)
    node = parts_of(gateway).context.node
    async with joined(gateway, "a") as (_, connection):
        transport = Wrapped(connection)
        publish(node, ["a"], b'"%b"' % (b"x" * (MAX_BATCH_BYTES // 2)))
        publish(node, ["a"], b'"%b"' % (b"y" * (MAX_BATCH_BYTES // 2)))  # fanned out at once: the batch is full
        publish(node, ["a"], b'"late"')
        say(connection, id=9, unsubscribe="a")
        await one_tick()
        said = [value for write in transport.taken() for value in write]
        assert [value.get("id") or value["data"][0] for value in said] == ["x", "y", 9]


async def test_what_is_gathered_is_bounded_within_a_tick(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, send_buffer_bytes=10_000_000)
    node = parts_of(gateway).context.node
    async with joined(gateway, *TEN) as (client, connection):
        connection._transport.pause_reading()  # type: ignore[union-attr]
        reading = asyncio.create_task(client.frames_to_the_end())
        for _ in range(20):
            publish(node, TEN, b'"%b"' % (b"x" * 50_000))
            assert connection._pending.bytes < MAX_BATCH_BYTES + 60_000
        await one_tick()
        assert connection._pending.bytes == 0
        assert not connection._pending.chunks
        assert not connection._pending.counts
        connection.close(Disconnect.GOING_AWAY)
        frames = await reading
        assert close_of(frames[-1]) == (4001, "going away")
        assert len(frames) == 200 + 2


async def test_plain_clients_have_nothing_to_do_with_it(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gateway,) = await embedded(1)
    node = parts_of(gateway).context.node
    monkeypatch.setattr(node.hub, "gather", lambda subscriber: pytest.fail("a plain client gathers"))
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/ws/a")).status == 101
        (connection,) = parts_of(gateway).context.registry
        assert isinstance(connection, WebSocket)
        transport = Wrapped(connection)
        publish(node, "a")
        node.hub.flush()
        assert len(transport.writes) == 1
        assert (await client.frame()).payload == b"1"
