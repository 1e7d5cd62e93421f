"""What one client may send, and for how long: turns, rates, deadlines, and messages in pieces."""

from __future__ import annotations

import asyncio
import struct
from contextlib import AsyncExitStack

import pytest

from relay.clients.frame_rates import CONTROL_FRAMES
from relay.clients.turns import FRAMES_PER_TICK, FRAMES_PER_TURN
from relay.limits.rate import Rate
from tests.clients.both_ends import join_both
from tests.clients.collecting import collect
from tests.clients.leftovers import leaving_nothing
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawWebSocket, encode_frame

pytestmark = pytest.mark.usefixtures("short_close_timeout")


async def test_a_turn_is_bounded_in_frames_and_all_of_them_are_taken_in_order(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        _, connection = await join_both(stack, gateway)
        taken: list[bytes] = []
        connection._context.node.publish = collect(taken)  # type: ignore[method-assign]
        numbers = [b"%d" % number for number in range(2000)]
        assert connection._reader.read(b"".join(encode_frame(TEXT, number) for number in numbers)) == FRAMES_PER_TURN
        assert len(taken) == FRAMES_PER_TURN
        assert not connection.reading
        largest = 0
        while not connection.reading:
            before = len(taken)
            await asyncio.sleep(0)
            largest = max(largest, len(taken) - before)
        assert taken == numbers
        assert largest <= FRAMES_PER_TICK + FRAMES_PER_TURN


@pytest.mark.parametrize(
    "frame", [encode_frame(TEXT, b""), encode_frame(CONTINUATION, b"x", fin=False)], ids=["messages", "fragments"]
)
async def test_floods_leave_turns_to_others(
    embedded: EmbeddedFactory, frame: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While many have more frames than their turn allows, a tick has a bounded number of them."""
    monkeypatch.setattr("relay.clients.message_reader.FRAGMENTS", Rate(1e9, 1_000_000_000))
    monkeypatch.setattr("relay.clients.message_reader.MAX_FRAGMENTS", 1_000_000)
    (gateway,) = await embedded(1, max_message_bytes=1_000_000)
    async with AsyncExitStack() as stack:
        flooders = [(await join_both(stack, gateway, "/ws/flood"))[1] for _ in range(20)]
        healthy, _ = await join_both(stack, gateway, "/ws/healthy?echo=1")
        for connection in flooders:
            begin = encode_frame(TEXT, b"", fin=False) if frame[0] & 0x0F == CONTINUATION else b""
            connection._reader.read(begin + frame * 20_000)
        await healthy.send_frame(TEXT, b"hello")
        assert (await healthy.frame()).payload == b"hello"
        assert not any(connection.reading for connection in flooders)
        for connection in flooders:
            connection.abort()


async def test_what_was_read_is_published_though_the_client_has_gone(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        _, connection = await join_both(stack, gateway)
        taken: list[bytes] = []
        connection._context.node.publish = collect(taken)  # type: ignore[method-assign]
        connection._reader.read(encode_frame(TEXT, b"x") * 1000)
        connection.abort()
        await wait_until(lambda: gateway.counters.connections_open == 0)
        await wait_until(lambda: len(taken) == 1000)


async def test_a_paused_publisher_gets_no_turn_until_it_may_go_on(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client, connection = await join_both(stack, gateway, "/ws/c?echo=1")
        connection._reader.read(encode_frame(TEXT, b"x") * 300)
        connection.pause_publishing()
        received = gateway.counters.messages_received
        assert await stays_true(lambda: gateway.counters.messages_received == received, 0.05)
        connection.resume_publishing()
        for _ in range(300):
            assert (await client.frame()).payload == b"x"
        await client.send_frame(TEXT, b"next")
        assert (await client.frame()).payload == b"next"


async def test_a_stop_while_frames_wait_ends_at_once(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        _, connection = await join_both(stack, gateway)
        connection._reader.read(encode_frame(TEXT, b"x") * 1000)
        await gateway.stop()
        assert connection._reader.waiting


@pytest.mark.parametrize("opcode", [PING, PONG])
@pytest.mark.parametrize("fragmented", [False, True])
async def test_more_control_frames_than_any_client_needs_close_with_1008(
    embedded: EmbeddedFactory, opcode: int, fragmented: bool
) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client, _ = await join_both(stack, gateway)
        other, _ = await join_both(stack, gateway)
        begin = encode_frame(TEXT, b"", fin=False) if fragmented else b""
        await client.send(begin + encode_frame(opcode) * (CONTROL_FRAMES.burst * 4))
        assert await client.close_frame() == (1008, "too many control frames or small fragments")
        await client.end()
        assert gateway.counters.disconnects == {"FRAME_RATE": 1}
        await other.send_frame(PING)
        assert (await other.frame()).opcode == PONG


async def test_pings_are_answered_in_their_order_also_when_one_arrives_in_pieces(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client, connection = await join_both(stack, gateway)
        first = encode_frame(PING, b"in pieces")
        connection._reader.read(first[:8])
        connection._reader.read(first[8:] + encode_frame(PING, b"whole"))
        assert [(await client.frame()).payload for _ in range(2)] == [b"in pieces", b"whole"]


async def test_every_ping_of_a_burst_is_answered(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client, _ = await join_both(stack, gateway)
        await client.send(b"".join(encode_frame(PING, b"%d" % number) for number in range(CONTROL_FRAMES.burst)))
        for number in range(CONTROL_FRAMES.burst):
            frame = await client.frame()
            assert (frame.opcode, frame.payload) == (PONG, b"%d" % number)


@pytest.mark.parametrize("fragmented", [False, True])
async def test_pings_are_answered_in_their_order_wherever_the_stream_is_cut(
    embedded: EmbeddedFactory, fragmented: bool
) -> None:
    """One that was cut is answered by the library, and those that came whole behind it by the reader itself."""
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client, connection = await join_both(stack, gateway)
        begin = encode_frame(TEXT, b"", fin=False) if fragmented else b""
        data = begin + b"".join(encode_frame(PING, b"ping %d" % number) for number in range(3))
        for cut in range(1, len(data)):
            connection._reader.read(data[:cut])
            connection._reader.read(data[cut:] + (encode_frame(CONTINUATION) if fragmented else b""))
            assert [(await client.frame()).payload for _ in range(3)] == [b"ping 0", b"ping 1", b"ping 2"], cut


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encode_frame(3, b"x" * 100), "PROTOCOL_ERROR"),
        (encode_frame(BINARY, bytes(70_000)), "MESSAGE_TOO_BIG"),
        (encode_frame(CLOSE, struct.pack("!H", 1000) + b"\xff"), "INVALID_TEXT"),
        (encode_frame(TEXT, b"\xff" * 100), "INVALID_TEXT"),
        (b"", ""),
    ],
    ids=["opcode", "size", "close reason", "text", "end of the stream"],
)
async def test_a_malformed_frame_is_counted_and_leaves_no_memory(
    embedded: EmbeddedFactory, data: bytes, reason: str
) -> None:
    """An exception holds the frames of its traceback, and so what was parsed."""
    (gateway,) = await embedded(1)
    async with leaving_nothing(gateway):
        for _ in range(3):
            async with AsyncExitStack() as stack:
                client = await stack.enter_async_context(RawWebSocket(gateway.port))
                assert (await client.upgrade("/ws/c")).status == 101
                if data:
                    await client.send(data)
                    await client.close_frame()
                    await client.end()
    assert gateway.counters.disconnects == ({reason: 3} if reason else {})
