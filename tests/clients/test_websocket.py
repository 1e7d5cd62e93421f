"""An open connection, seen from a raw socket."""

from __future__ import annotations

import asyncio
import errno
import logging
from contextlib import AsyncExitStack

import pytest

from relay.clients.message_reader import MessageReader
from relay.errors import Disconnect
from relay.limits.rate import Rate
from tests.clients.collecting import collect
from tests.clients.leftovers import leaving_nothing
from tests.clients.raw_clients import connections, join
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.raw_websocket import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawWebSocket,
    close_of,
    encode_frame,
)

pytestmark = pytest.mark.usefixtures("short_close_timeout")


async def test_text_binary_empty_and_fragmented_messages_pass_with_their_kind(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        sender, receiver = await join(stack, gateway), await join(stack, gateway)
        await sender.send_frame(TEXT, "grüezi".encode())
        await sender.send_frame(BINARY, bytes(range(256)))
        await sender.send_frame(TEXT)
        await sender.send_frame(BINARY, b"one ", fin=False)
        await sender.send_frame(PING, b"between")
        await sender.send_frame(CONTINUATION, b"", fin=False)
        await sender.send_frame(CONTINUATION, b"message")
        received = [await receiver.frame() for _ in range(4)]
        assert [(frame.opcode, frame.payload, frame.fin) for frame in received] == [
            (TEXT, "grüezi".encode(), True),
            (BINARY, bytes(range(256)), True),
            (TEXT, b"", True),
            (BINARY, b"one message", True),
        ]
        pong = await sender.frame()
        assert (pong.opcode, pong.payload) == (PONG, b"between")
        assert gateway.counters.messages_received == 4


async def test_text_split_within_a_character_is_text(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        sender, receiver = await join(stack, gateway), await join(stack, gateway)
        data = "日本".encode()
        await sender.send_frame(TEXT, data[:2], fin=False)
        await sender.send_frame(CONTINUATION, data[2:])
        assert (await receiver.frame()).payload == data


async def test_a_close_is_answered_and_counted(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client = await join(stack, gateway)
        await client.send_frame(CLOSE, (4000).to_bytes(2, "big") + b"bye")
        assert await client.close_frame() == (4000, "bye")
        await client.end()
        await wait_until(lambda: gateway.counters.connections_closed == {4000: 1})


async def test_a_reset_is_counted_as_1006(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client, quiet = await join(stack, gateway), await join(stack, gateway)
        client.abort()
        quiet.close()
        await wait_until(lambda: gateway.counters.connections_closed == {1006: 2})
        assert gateway.counters.connections_open == 0


async def test_the_welcome_is_the_first_message(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, welcome="grüezi {}")
    async with AsyncExitStack() as stack:
        client = await join(stack, gateway)
        frame = await client.frame()
        assert (frame.opcode, frame.payload) == (TEXT, "grüezi {}".encode())


async def test_a_client_that_does_not_answer_the_close_is_dropped(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client = await join(stack, gateway)
        (connection,) = connections(gateway)
        connection.close(Disconnect.GOING_AWAY)
        connection.close(Disconnect.SLOW_CONSUMER)
        assert await client.close_frame() == (1001, "going away")
        await client.end()
        assert gateway.counters.disconnects == {"GOING_AWAY": 1}


async def test_messages_sent_before_the_clients_close_are_accepted_while_closing(embedded: EmbeddedFactory) -> None:
    """What crosses the relay's close frame on the way is not lost."""
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        sender = await join(stack, gateway)
        (connection,) = connections(gateway)
        receiver = await join(stack, gateway)
        connection.close(Disconnect.GOING_AWAY)
        await sender.send_frame(TEXT, b"on its way")
        assert (await receiver.frame()).payload == b"on its way"
        await sender.send_frame(CLOSE, (1001).to_bytes(2, "big"))
        assert close_of(await sender.frame())[0] == 1001


async def test_pongs_for_a_client_that_does_not_read_take_no_memory(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.clients.message_reader.CONTROL_FRAMES", Rate(1e9, 1_000_000_000))
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        flooder = await stack.enter_async_context(RawWebSocket(gateway.port, receive_buffer=4096))
        assert (await flooder.upgrade("/ws/c")).status == 101
        (connection,) = connections(gateway)
        pings = encode_frame(PING, bytes(125)) * 500
        largest = 0
        for _ in range(120):
            await flooder.send(pings)
            largest = max(largest, connection.buffered)
        assert largest < 512 * 1024


async def test_half_closed_clients_are_closed(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(
        b"GET /ws/c HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    await reader.readuntil(b"\r\n\r\n")
    writer.write_eof()
    assert await reader.read() == b""
    writer.close()
    await writer.wait_closed()
    await wait_until(lambda: gateway.counters.connections_open == 0)


async def test_a_client_that_has_gone_before_its_socket_is_half_closed_is_no_fault(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It may have reset the connection, which asyncio tells by an exception then."""

    def refuse(transport: asyncio.Transport) -> None:
        raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    monkeypatch.setattr("asyncio.selector_events._SelectorSocketTransport.write_eof", refuse)
    (gateway,) = await embedded(1)
    async with RawWebSocket(gateway.port) as client:
        await client.send(
            b"GET /ws/c HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            b"\x83\x80\0\0\0\0"  # of an opcode that is reserved
        )
        assert (await client.response()).status == 101
        assert (await client.close_frame())[0] == 1002
    await wait_until(lambda: gateway.counters.connections_open == 0)
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_the_pong_that_was_asked_for_passes_at_the_first_look_and_no_other(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also in the middle of a message, of which it is no part; a payload that looks like one is a payload."""
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client = await join(stack, gateway)
        (connection,) = connections(gateway)
        read: list[bytes] = []
        connection._context.node.publish = collect(read)  # type: ignore[method-assign]
        looked: list[bytes] = []
        take_in = connection._reader.read

        def look(_: MessageReader, data: bytes) -> int:
            looked.append(data)
            return take_in(data)

        monkeypatch.setattr(MessageReader, "read", look)

        def take(*pieces: bytes) -> list[bytes]:
            """Read pieces; return those that were looked at closely."""
            for piece in pieces:
                connection._context.read_buffer[: len(piece)] = piece
                connection.buffer_updated(len(piece))
            seen = list(looked)
            looked.clear()
            return seen

        def ping() -> None:
            connection.ping()
            assert not connection.heard

        pong = encode_frame(PONG)
        ping()
        assert take(pong) == []
        assert connection.heard
        connection.check_heard()
        assert take(pong) == [pong]  # nobody has asked for it
        ping()
        first, last = encode_frame(TEXT, b"a", fin=False), encode_frame(CONTINUATION, b"b")
        connection.heard = True
        assert take(first) == [first]
        connection.heard = False
        assert take(pong, last) == [last]
        assert connection.heard
        hidden = encode_frame(BINARY, b"12" + pong + b"345678")
        for cut in range(1, len(hidden) - len(pong)):
            pieces = hidden[:cut], hidden[cut : cut + 6], hidden[cut + 6 :]
            for piece in pieces:
                connection.heard = False
                take(piece)
        for near in (encode_frame(PONG, b"1"), encode_frame(PING), b"\x8a\x00" + bytes(4), pong[:5]):
            connection.heard = False
            assert take(near) == [near], near
        assert read == [b"ab", *[b"12" + pong + b"345678"] * (len(hidden) - len(pong) - 1)]
        assert await client.close_frame() == (1002, "incorrect masking")


async def test_what_waits_for_a_client_comes_before_the_close(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the client, or its breach of the protocol, ends the connection."""
    # This client takes in what waits for it, however long that takes here.
    monkeypatch.setattr("relay.gateway.parts.CLOSE_TIMEOUT_SECONDS", PATIENCE_SECONDS)
    (gateway,) = await embedded(1, send_buffer_bytes=50_000_000)
    for ending in (encode_frame(CLOSE, (1000).to_bytes(2, "big")), encode_frame(3, b"")):
        async with AsyncExitStack() as stack:
            sender = await join(stack, gateway)
            slow = await stack.enter_async_context(RawWebSocket(gateway.port, receive_buffer=4096))
            assert (await slow.upgrade("/ws/c")).status == 101
            for _ in range(150):
                await sender.send_frame(BINARY, bytes(60_000))
            await wait_until(lambda: [c for c in connections(gateway) if c._held and c.buffered > 2_000_000])
            await slow.send(ending)
            frames = await slow.frames_to_the_end()
            assert [frame.opcode for frame in frames] == [BINARY] * (len(frames) - 1) + [CLOSE]
            assert len(frames) > 30
    assert gateway.counters.deliveries_dropped == {}


async def test_a_connection_leaves_no_reference_cycle(embedded: EmbeddedFactory) -> None:
    """Full garbage collections are rare in a gateway; what needs one to be freed would pile up."""
    (gateway,) = await embedded(1)
    async with leaving_nothing(gateway):
        for _ in range(10):
            async with AsyncExitStack() as stack:
                client, rude = await join(stack, gateway), await join(stack, gateway)
                await client.send_frame(CLOSE, (1000).to_bytes(2, "big"))
                await client.end()
                rude.abort()


async def test_a_client_that_is_read_no_more_is_not_judged_by_its_silence(embedded: EmbeddedFactory) -> None:
    """In a drain a publisher waits for the bus unread, perhaps for longer than a ping may take: its pong waits, too."""
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client = await join(stack, gateway)
        (connection,) = connections(gateway)
        connection.ping()
        connection.pause_publishing()
        connection.check_heard()
        connection.resume_publishing()
        connection.check_heard()  # before the socket was read again
        connection.ping()
        assert connection.prepare_to_close()
        assert [(await client.frame()).opcode for _ in range(2)] == [PING, PING]
        connection.check_heard()
        connection.ping()
        connection.check_heard()
        connection.close(Disconnect.GOING_AWAY)
        assert close_of(await client.frame()) == (1001, "going away")
