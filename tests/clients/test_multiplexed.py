"""What several channels bring a client in one tick, and what it costs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from relay import Gateway, protocols
from relay.clients.multiplexed import MultiplexedWebSocket
from relay.clients.websocket import WebSocket
from relay.errors import BusUnavailable, Disconnect
from relay.hub import MAX_BATCH_BYTES
from relay.message import Kind, Message
from relay.node import Node
from tests.clients.leftovers import leaving_nothing
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import CLOSE, TEXT, RawWebSocket, close_of
from tests.harness.whole_frames import frames_of
from tests.protocols.multiplexed import PING

pytestmark = pytest.mark.usefixtures("short_close_timeout")

TEN = [f"c{number}" for number in range(10)]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", "tests.protocols.multiplexed")


class Wrapped:
    """A client's transport, whose writes are noted.

    Attributes:
        writes: since the last look.
    """

    def __init__(self, connection: WebSocket) -> None:
        self._transport = connection._transport
        self.writes: list[bytes] = []
        self.full = False
        connection._transport = self  # type: ignore[assignment]
        connection._write = self.write

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        assert self._transport is not None
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def taken(self) -> list[list[Any]]:
        """Return the JSON values of each write, and forget them."""
        writes, self.writes = self.writes, []
        return [[json.loads(payload) for opcode, payload in frames_of(data) if opcode == TEXT] for data in writes]


@asynccontextmanager
async def joined(gateway: Gateway, *channels: str) -> AsyncIterator[tuple[RawWebSocket, MultiplexedWebSocket]]:
    """Connect a client that is subscribed to channels; yield both ends."""
    before = set(parts_of(gateway).context.registry)
    async with RawWebSocket(gateway.port) as client:
        assert (await client.upgrade("/multiplexed")).status == 101
        (connection,) = set(parts_of(gateway).context.registry) - before
        assert isinstance(connection, MultiplexedWebSocket)
        for number, name in enumerate(channels):
            say(connection, id=number + 1, subscribe=name)
        for _ in channels:
            assert json.loads((await client.frame()).payload)["ok"]
        yield client, connection


def say(connection: WebSocket, **command: object) -> None:
    """Let a client say something, as if it had been read."""
    connection._reader._pass_on(Kind.TEXT, json.dumps(command).encode())


def publish(node: Node, channels: Iterable[str], data: bytes = b"1") -> None:
    """Let messages come from the bus."""
    for name in channels:
        node.receive(Message(name, data))


async def one_tick() -> None:
    """Let what is due happen."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)


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
            assert connection._gathered.bytes < MAX_BATCH_BYTES + 60_000
        await one_tick()
        assert connection._gathered.bytes == 0
        assert not connection._gathered.chunks
        assert not connection._gathered.counts
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


Ending = Callable[[MultiplexedWebSocket], None]


@pytest.mark.parametrize(
    ("end", "code"),
    [
        (lambda connection: connection.close(Disconnect.GOING_AWAY), 4001),
        (lambda connection: connection._reader._pass_on(Kind.TEXT, b"nonsense"), 4004),
        (lambda connection: connection.fail(Disconnect.INVALID_TEXT), 4000),
    ],
    ids=["close", "protocol error", "breach"],
)
async def test_nothing_of_a_tick_is_lost_or_follows_the_close_frame(
    embedded: EmbeddedFactory, end: Ending, code: int
) -> None:
    (gateway,) = await embedded(1)
    node = parts_of(gateway).context.node
    async with joined(gateway, "a", "b") as (client, connection):
        publish(node, "ab")
        node.hub.flush()
        say(connection, id=1, unsubscribe="a")
        publish(node, "b")
        node.hub.flush()
        say(connection, id=2, publish={"channel": "a", "data": 5})
        assert connection.session.open
        end(connection)
        assert not connection.session.open
        say(connection, id=3, publish={"channel": "b", "data": 5})
        publish(node, "ab")
        node.hub.flush()
        transport = Wrapped(connection)
        connection.send(b"late")
        node.hub.flush()
        assert transport.writes == []
        frames = await client.frames_to_the_end()
        said = [json.loads(frame.payload) for frame in frames if frame.opcode == TEXT]
        ids = [value.get("id") for value in said]
        assert [id_ for id_ in ids if id_] == [1, 2]
        assert [value["data"] for value in said if "data" in value] == [1, 1, 1]
        assert list(said[-1]) == ["closing"], "the protocol's last frame, behind everything else"
        assert frames[-1].opcode == CLOSE
        assert close_of(frames[-1])[0] == code
    await wait_until(lambda: gateway.counters.connections_open == 0)


async def test_who_is_closed_before_the_answer_gets_nothing_of_what_was_kept_back_for_it(
    embedded: EmbeddedFactory,
) -> None:
    """It was never told of the channels."""
    (gateway,) = await embedded(1)
    node, counters = parts_of(gateway).context.node, gateway.counters
    async with joined(gateway, "a") as (client, connection):
        connection.hold_deliveries()
        publish(node, "a")
        await one_tick()
        connection.close(Disconnect.GOING_AWAY)
        frames = await client.frames_to_the_end()
        assert [json.loads(frame.payload) for frame in frames if frame.opcode == TEXT] == [{"closing": "going away"}]
        assert (counters.deliveries_dropped, counters.deliveries) == (1, 0)
    await wait_until(lambda: gateway.counters.connections_open == 0)


async def test_all_that_a_closed_slow_client_is_not_given_is_counted(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, send_buffer_bytes=100_000)
    node, counters = parts_of(gateway).context.node, gateway.counters
    async with joined(gateway, *TEN) as (client, connection):
        connection.pause_writing()
        publish(node, TEN, b'"%b"' % (b"x" * 20_000))
        node.hub.flush()
        assert counters.fanned_out == 10
        assert counters.deliveries_dropped == 6
        assert counters.disconnects == {"SLOW_CONSUMER": 1}
        frames = await client.frames_to_the_end()
        assert close_of(frames[-1]) == (4002, "slow consumer")


async def test_what_a_client_had_gathered_when_it_was_aborted_is_counted_as_dropped(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    node, counters = parts_of(gateway).context.node, gateway.counters
    async with joined(gateway, "a") as (_, connection):
        transport = Wrapped(connection)
        before = counters.bytes_dropped
        connection.send(b"answer")
        connection.deliver(b"messages", 3)
        connection.abort()
        node.hub.flush()
        assert transport.writes == []
        assert (counters.deliveries_dropped, counters.bytes_dropped - before) == (3, len(b"messages"))


async def test_a_failed_publication_does_not_close_but_after_a_drain_it_resets(embedded: EmbeddedFactory) -> None:
    """Behind the close frame no answer can say that it failed; a reset still may, whatever the close code was."""
    (gateway,) = await embedded(1)
    async with joined(gateway) as (client, connection):
        connection.publish_failed(BusUnavailable("away"))
        assert connection.session.open
        node = parts_of(gateway).context.node
        for congested in (True, False):
            node.congested = congested
            node.pause(connection)
            assert not connection.reading
            connection.publish_failed(BusUnavailable("away"))
            await one_tick()
            assert connection.reading != congested
            assert node.paused_publishers == congested
        connection.close(Disconnect.GOING_AWAY)
        assert await client.close_frame() == (4001, "going away")
        connection.publish_failed(BusUnavailable("away"))
        await client.end()
        await wait_until(lambda: gateway.counters.connections_open == 0)


@pytest.mark.parametrize("event_loop", ["asyncio"])
async def test_they_leave_nothing_behind(embedded: EmbeddedFactory, event_loop: str) -> None:
    (gateway,) = await embedded(1)
    node = parts_of(gateway).context.node
    async with leaving_nothing(gateway), AsyncExitStack() as stack:
        connections = [(await stack.enter_async_context(joined(gateway, *TEN)))[1] for _ in range(5)]
        for connection in connections:
            say(connection, id=1, publish={"channel": "c0", "data": 5})
            say(connection, id=2, subscribe="c0")
        publish(node, TEN)
        connections[0].close(Disconnect.SLOW_CONSUMER)
        connections[1].abort()
        connections[2]._reader._pass_on(Kind.BINARY, b"")
        del connections, connection
    assert node.hub.channels == []
    assert len(parts_of(gateway).context.write_timeouts) == 0
