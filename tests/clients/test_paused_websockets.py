"""Clients that publish while the bus takes no more."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from relay.brokers import Receipt
from relay.clients.websocket import WebSocket
from relay.errors import BusUnavailable, Disconnect
from relay.message import Message
from tests.clients.raw_clients import connections, join
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.raw_websocket import BINARY, CONTINUATION, PING, PONG, TEXT, encode_frame

pytestmark = pytest.mark.usefixtures("short_close_timeout")


async def test_after_a_failed_publish_nothing_more_is_published(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        sender = await join(stack, gateway)
        (connection,) = connections(gateway)
        receiver = await join(stack, gateway)
        connection.publish_failed(BusUnavailable("test"))
        connection.publish_failed(BusUnavailable("again"))
        await sender.send_frame(TEXT, b"too late")
        assert await sender.close_frame() == (1013, "bus unavailable")
        await receiver.send_frame(PING)
        assert (await receiver.frame()).opcode == PONG
        assert gateway.counters.messages_received == 0


async def test_a_paused_publisher_is_not_read_and_not_judged_by_keepalive(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        sender = await join(stack, gateway)
        (connection,) = connections(gateway)
        connection.pause_publishing()
        await sender.send_frame(TEXT, b"x")
        connection.heard = False
        connection.check_heard()
        connection.ping()
        assert await stays_true(lambda: gateway.counters.messages_received == 0, 0.1)
        connection.resume_publishing()
        await wait_until(lambda: gateway.counters.messages_received == 1)


@pytest.mark.parametrize("room", range(7))
async def test_what_was_read_waits_in_its_order_while_the_bus_takes_no_more(
    embedded: EmbeddedFactory, room: int
) -> None:
    """Wherever the pause falls: between whole messages, fragments, pings, pongs, and a frame that is half there."""
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        await join(stack, gateway)
        (connection,) = connections(gateway)
        node = connection._context.node
        read: list[bytes] = []

        def publish(message: Message, source: WebSocket, receipt: Receipt | None) -> None:
            read.append(message.payload)
            if len(read) == room:
                node.congested = True
                node.pause(source)

        node.publish = publish  # type: ignore[method-assign,assignment]
        if room == 0:
            node.congested = True
        pong, ping = encode_frame(PONG, b"p"), encode_frame(PING, b"p")
        fragments = encode_frame(TEXT, b"4", fin=False) + ping + encode_frame(CONTINUATION, b"-4")
        whole = [encode_frame(TEXT, b"%d" % number) for number in range(1, 4)]
        stream = pong + whole[0] + pong + whole[1] + whole[2] + fragments + ping + encode_frame(BINARY, bytes(5000))
        cut = len(stream) - 2500
        connection._take_in(stream[:cut])
        expected = [b"1", b"2", b"3", b"4-4", bytes(5000), b"6"]
        assert read == expected[: min(room, 4)]
        connection._take_in(stream[cut:] + encode_frame(TEXT, b"6"))
        assert read == expected[:room]
        node.writable()
        await asyncio.sleep(0)
        assert read == expected


async def test_who_is_closed_while_paused_publishes_nothing_more(embedded: EmbeddedFactory) -> None:
    """And a drain tells it with 1013: something that it has sent may be left."""
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        sender = await join(stack, gateway)
        (connection,) = connections(gateway)
        receiver = await join(stack, gateway)
        connection._context.node.congested = True
        await sender.send_frame(TEXT, b"has no room")
        await wait_until(lambda: connection._reader._rest)
        assert not connection.prepare_to_close()
        connection.close(Disconnect.GOING_AWAY)
        assert await sender.close_frame() == (1013, "bus unavailable")
        connection._context.node.writable()
        assert gateway.counters.messages_received == 0
        await receiver.send_frame(PING)
        assert (await receiver.frame()).opcode == PONG


@pytest.mark.parametrize("why", [Disconnect.GOING_AWAY, Disconnect.MISSED], ids=["drain", "gap"])
async def test_a_message_that_crosses_a_close_and_fails_ends_in_a_reset(
    embedded: EmbeddedFactory, why: Disconnect
) -> None:
    """A close that says that all was published."""
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        await join(stack, gateway)
        (connection,) = connections(gateway)
        connection.close(why)
        connection.publish_failed(BusUnavailable("test"))
        await wait_until(lambda: gateway.counters.connections_open == 0)
