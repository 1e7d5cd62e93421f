"""Clients with several channels that are closed, fall behind or vanish."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AsyncExitStack

import pytest

from relay.clients.multiplexed import MultiplexedWebSocket
from relay.errors import BusUnavailable, Disconnect
from relay.message import Kind
from tests.clients.leftovers import leaving_nothing
from tests.clients.multiplexed_pair import TEN, Wrapped, joined, one_tick, publish, say
from tests.clients.multiplexed_pair import _registered as _registered
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import CLOSE, TEXT, close_of

pytestmark = pytest.mark.usefixtures("short_close_timeout")


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
        assert (counters.deliveries_dropped, counters.deliveries) == ({"closed": 1}, 0)
    await wait_until(lambda: gateway.counters.connections_open == 0)


async def test_all_that_a_closed_slow_client_is_not_given_is_counted(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, send_buffer_bytes=100_000)
    node, counters = parts_of(gateway).context.node, gateway.counters
    async with joined(gateway, *TEN) as (client, connection):
        connection.pause_writing()
        publish(node, TEN, b'"%b"' % (b"x" * 20_000))
        node.hub.flush()
        assert counters.fanned_out == 10
        assert counters.deliveries_dropped == {"closed": 10}, "also those that waited here"
        assert counters.bytes_dropped > 10 * 20_000
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
        assert (counters.deliveries_dropped, counters.bytes_dropped - before) == ({"closed": 3}, len(b"messages"))


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
