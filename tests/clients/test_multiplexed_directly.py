"""Clients of several channels, in each way to fan out: in one call where nothing waits for them, and in order."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from relay import protocols
from relay.clients.multiplexed import MultiplexedWebSocket
from relay.clients.multiplexed_client import MultiplexedClient
from relay.errors import Disconnect
from relay.fan_out.ways import Way
from tests.clients.multiplexed_pair import joined, one_tick, publish, say
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.fan_outs import NATIVE, WAYS, need
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import CLOSE, RawWebSocket, close_of
from tests.protocols.multiplexed import frame

pytestmark = pytest.mark.usefixtures("short_close_timeout")

TEN = [f"c{number}" for number in range(10)]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", "tests.protocols.multiplexed")


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    """Each way to fan out that there is here."""
    found: Way = request.param
    need(found)
    return found


@pytest.fixture(params=NATIVE)
def native(request: pytest.FixtureRequest) -> str:
    """Each native way that there is here."""
    need(request.param)
    return str(request.param)


@pytest.fixture
def delivered(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What clients of several channels were given one by one."""
    found: list[bytes] = []
    usual = MultiplexedClient.deliver

    def noted(self: MultiplexedClient, data: bytes, count: int) -> None:
        found.append(data)
        usual(self, data, count)

    monkeypatch.setattr(MultiplexedClient, "deliver", noted)
    return found


async def said_to(client: RawWebSocket, count: int) -> list[Any]:
    """Return the next values that a client gets."""
    return [json.loads((await client.frame()).payload) for _ in range(count)]


def message(channel: str, data: object = 1) -> object:
    """Return a message as clients get it."""
    return {"channel": channel, "data": data}


async def test_nobody_is_asked_where_nothing_waits(
    embedded: EmbeddedFactory, native: str, delivered: list[bytes]
) -> None:
    (gateway,) = await embedded(1, fanout=native)
    node, counters = parts_of(gateway).context.node, gateway.counters
    async with joined(gateway, *TEN) as (one, _), joined(gateway, *TEN[:5]) as (other, _):
        delivered.clear()
        for busy in (TEN[:1], TEN, TEN[4:7]):
            writes, deliveries = counters.writes, counters.deliveries
            publish(node, busy)
            await one_tick()
            assert await said_to(one, len(busy)) == [message(name) for name in busy]
            theirs = [name for name in busy if name in TEN[:5]]
            assert await said_to(other, len(theirs)) == [message(name) for name in theirs]
            assert counters.writes - writes == 2, "one for each client, however many channels are busy"
            assert counters.deliveries - deliveries == len(busy) + len(theirs)
        assert delivered == []


async def test_an_answer_in_the_same_tick_comes_first_and_the_next_tick_is_direct_again(
    embedded: EmbeddedFactory, native: str, delivered: list[bytes]
) -> None:
    (gateway,) = await embedded(1, fanout=native)
    node = parts_of(gateway).context.node
    async with joined(gateway, "a", "b") as (client, connection):
        for busy in ("a", "ab"):
            publish(node, "a")
            await one_tick()
            delivered.clear()
            publish(node, busy)
            say(connection, id=1, subscribe="c")
            say(connection, id=2, unsubscribe="c")
            await one_tick()
            answers = [{"id": 1, "ok": True}, {"id": 2, "ok": True}]
            assert await said_to(client, 3 + len(busy)) == [message("a"), *answers, *map(message, busy)]
            assert len(delivered) == 2 + len(busy)
            delivered.clear()
            publish(node, busy)
            await one_tick()
            assert await said_to(client, len(busy)) == [message(name) for name in busy]
            assert delivered == []


async def test_while_deliveries_are_held_nobody_writes_them(embedded: EmbeddedFactory, way: Way) -> None:
    """Not even once a ping, which may be written meanwhile, has left nothing in the transport."""
    (gateway,) = await embedded(1, fanout=way)
    node = parts_of(gateway).context.node
    async with joined(gateway, "a", "b") as (client, connection):
        publish(node, "a")
        await one_tick()
        connection.hold_deliveries()
        for busy in ("a", "ab"):
            publish(node, busy)
            await one_tick()
            connection.ping()
        connection.reply(frame({"id": 7}))
        publish(node, "b")
        await one_tick()
        messages = [message(name) for name in "aabb"]  # in the order of the ticks
        assert await said_to(client, 8) == [message("a"), {}, {}, {"id": 7}, *messages]


async def test_a_subscription_while_deliveries_are_held_gets_nothing_before_the_reply(
    embedded: EmbeddedFactory, way: Way
) -> None:
    """Its group is looked at anew then, and finds a client that nobody may write to."""
    (gateway,) = await embedded(1, fanout=way)
    node = parts_of(gateway).context.node
    async with joined(gateway) as (client, connection), joined(gateway, "a") as (other, _):
        connection.hold_deliveries()
        node.hub.add("a", connection)
        publish(node, "a")
        await one_tick()
        connection.reply(frame({"id": 7}))
        assert await said_to(other, 1) == [message("a")]
        assert await said_to(client, 2) == [{"id": 7}, message("a")]
        node.hub.remove("a", connection)


async def test_what_is_held_is_kept_when_the_transport_has_room_again(embedded: EmbeddedFactory, way: Way) -> None:
    (gateway,) = await embedded(1, fanout=way)
    node = parts_of(gateway).context.node
    async with joined(gateway, "a") as (client, connection):
        connection.pause_writing()
        connection.send(frame({"id": 6}))
        await one_tick()
        connection.hold_deliveries()
        publish(node, "a")
        await one_tick()
        connection.resume_writing()
        connection.reply(frame({"id": 7}))
        assert await said_to(client, 3) == [{"id": 6}, {"id": 7}, message("a")]


async def test_the_close_frame_of_a_slow_client_is_the_last(embedded: EmbeddedFactory, way: Way) -> None:
    (gateway,) = await embedded(1, fanout=way, send_buffer_bytes=200_000)
    node, counters = parts_of(gateway).context.node, gateway.counters
    parts_of(gateway).context.close_timeout = PATIENCE_SECONDS  # the slow one reads once the quick one has all
    async with joined(gateway, *TEN) as (slow, connection), joined(gateway, *TEN) as (quick, _):
        narrow(connection)
        reading = asyncio.create_task(said_to(quick, 100))
        for number in range(10):
            publish(node, TEN, b'"%d%b"' % (number, b"x" * 50_000))
            await one_tick()
        got = await reading
        assert [value["data"][0] for value in got] == [str(number // 10) for number in range(100)]
        assert counters.disconnects["SLOW_CONSUMER"] == 1
        frames = await slow.frames_to_the_end()
        assert frames[-1].opcode == CLOSE
        assert close_of(frames[-1]) == (4002, "slow consumer")
        assert json.loads(frames[-2].payload) == {"closing": "slow consumer"}
        values = [json.loads(one.payload) for one in frames[:-2]]
        assert counters.deliveries == 100 + len(values), "each is either written or counted as dropped"
        for name in TEN:
            numbers = [int(value["data"][0]) for value in values if value["channel"] == name]
            assert numbers == list(range(len(numbers)))


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_who_leaves_before_a_flush_gets_nothing_more(embedded: EmbeddedFactory, way: Way, end: str) -> None:
    (gateway,) = await embedded(1, fanout=way)
    node = parts_of(gateway).context.node
    async with joined(gateway, "a", "b") as (client, connection), joined(gateway, "a", "b") as (other, _):
        publish(node, "ab")
        await one_tick()
        publish(node, "ab")
        connection.send(frame({"id": 1}))
        if end == "close":
            connection.close(Disconnect.GOING_AWAY)
        else:
            connection.abort()
        await one_tick()
        assert await said_to(other, 4) == [message(name) for name in "abab"]
        frames = await client.frames_to_the_end()
        last = [{"id": 1}, {"closing": "going away"}] if end == "close" else []
        assert [json.loads(one.payload) for one in frames if one.opcode != CLOSE] == [*map(message, "ab"), *last]


def narrow(connection: MultiplexedWebSocket) -> None:
    """Let a client's socket take little at once; but no less than a packet has, or each would wait for a timer."""
    assert connection._transport is not None
    sock = connection._transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
