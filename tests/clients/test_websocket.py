"""An open connection, seen from a raw socket."""

from __future__ import annotations

import asyncio
import errno
import logging
from contextlib import AsyncExitStack

import pytest

from relay import Gateway
from relay.brokers import Receipt
from relay.clients.message_reader import MAX_FRAGMENTS, MessageReader
from relay.clients.websocket import WebSocket
from relay.errors import BusUnavailable, Disconnect
from relay.limits.rate import Rate
from relay.message import Message
from relay.namespaces import ChannelOptions
from tests.clients.collecting import collect
from tests.clients.leftovers import leaving_nothing
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import PATIENCE_SECONDS, stays_true, wait_until
from tests.harness.inside import parts_of
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


async def join(stack: AsyncExitStack, gateway: Gateway, target: str = "/ws/c") -> RawWebSocket:
    """Connect a client."""
    client = await stack.enter_async_context(RawWebSocket(gateway.port))
    assert (await client.upgrade(target)).status == 101
    return client


def connections(gateway: Gateway) -> list[WebSocket]:
    """Return the open connections of a gateway."""
    return [member for member in parts_of(gateway).context.registry if isinstance(member, WebSocket)]


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


@pytest.mark.parametrize("pieces", [[b"\xff\xfe"], [b"\xe6\x97", b"\x28"]])
async def test_invalid_text_closes_with_1007_and_reaches_nobody(embedded: EmbeddedFactory, pieces: list[bytes]) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        sender, receiver = await join(stack, gateway), await join(stack, gateway)
        data = b"".join(
            encode_frame(TEXT if n == 0 else CONTINUATION, piece, fin=n == len(pieces) - 1)
            for n, piece in enumerate(pieces)
        )
        await sender.send(data + encode_frame(TEXT, b"after the fault"))
        assert await sender.close_frame() == (1007, Disconnect.INVALID_TEXT.reason)
        assert await stays_true(lambda: gateway.counters.deliveries == 0, 0.05)
        assert gateway.counters.disconnects == {"INVALID_TEXT": 1}
        await receiver.send_frame(PING)
        assert (await receiver.frame()).opcode == PONG


async def test_too_many_fragments_close_with_1009(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        sender = await join(stack, gateway)
        empty = encode_frame(CONTINUATION, b"", fin=False)
        await sender.send(encode_frame(TEXT, b"", fin=False) + empty * MAX_FRAGMENTS)
        assert await sender.close_frame() == (1009, "too many fragments")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (encode_frame(BINARY, bytes(1001)), 1009),
        (b"\x82\xff" + (2**40).to_bytes(8, "big"), 1009),
        (encode_frame(BINARY, bytes(600), fin=False) + encode_frame(CONTINUATION, bytes(600)), 1009),
        (encode_frame(TEXT, b"x", masked=False), 1002),
        (encode_frame(TEXT, b"x", reserved=4), 1002),
        (encode_frame(3, b"x"), 1002),
        (encode_frame(CONTINUATION, b"x"), 1002),
        (encode_frame(PING, bytes(126)), 1002),
        (encode_frame(CLOSE, b"\x00"), 1002),
    ],
    ids=[
        "too big",
        "enormous",
        "too big in fragments",
        "unmasked",
        "reserved bit",
        "unknown opcode",
        "continues nothing",
        "long ping",
        "short close",
    ],
)
async def test_breaches_are_closed_with_the_codes_of_the_rfc(embedded: EmbeddedFactory, data: bytes, code: int) -> None:
    (gateway,) = await embedded(1, max_message_bytes=1000)
    async with AsyncExitStack() as stack:
        client, other = await join(stack, gateway), await join(stack, gateway)
        await client.send(data)
        assert (await client.close_frame())[0] == code
        await client.end()
        await wait_until(lambda: gateway.counters.connections_closed == {code: 1})
        assert len(connections(gateway)) == 1
        await other.send_frame(PING)
        assert (await other.frame()).opcode == PONG


async def test_a_message_too_big_for_its_namespace_closes_its_sender_alone(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, namespaces={"chat": ChannelOptions(max_message_bytes=10)})
    async with AsyncExitStack() as stack:
        client, other = await join(stack, gateway, "/ws/chat:1"), await join(stack, gateway, "/ws/chat:1")
        await client.send_frame(TEXT, b"x" * 10)
        assert (await other.frame()).payload == b"x" * 10
        await client.send_frame(TEXT, b"x" * 11)
        assert await client.close_frame() == (1009, "message too big for its channel")
        await client.end()
        await wait_until(lambda: gateway.counters.connections_closed == {1009: 1})
        assert gateway.counters.disconnects == {"MESSAGE_TOO_BIG": 1}
        assert gateway.counters.messages_received == 1
        elsewhere = await join(stack, gateway, "/ws/lobby")
        await elsewhere.send_frame(TEXT, b"x" * 11)
        await wait_until(lambda: gateway.counters.messages_received == 2)


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


INNER = encode_frame(TEXT, b"forged")


@pytest.mark.parametrize(
    "frame",
    [encode_frame(BINARY, INNER * 30), encode_frame(BINARY, INNER), b"\x82\x80\0\0\0\0"],
    ids=["medium", "short", "empty"],
)
async def test_a_payload_is_never_taken_for_frames_wherever_the_stream_is_cut(
    embedded: EmbeddedFactory, frame: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks are the client's choice, so a payload can look like frames on the wire."""
    monkeypatch.setattr("relay.clients.message_reader.CONTROL_FRAMES", Rate(1e9, 1_000_000_000))
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        await join(stack, gateway)
        (connection,) = connections(gateway)
        ping, pong = encode_frame(PING, b"p"), encode_frame(PONG, b"p")
        fragments = encode_frame(TEXT, b"a", fin=False) + ping + encode_frame(CONTINUATION, b"b")
        stream = frame + ping + pong + fragments + frame + encode_frame(TEXT, b"next")
        read: list[bytes] = []
        connection._context.node.publish = collect(read)  # type: ignore[method-assign]
        connection._reader.read(stream)
        whole, read[:] = list(read), []
        assert [len(whole), whole[1], whole[-1]] == [4, b"ab", b"next"]
        for cut in range(1, len(stream)):
            connection._reader.read(stream[:cut])
            connection._reader.read(stream[cut:])
            assert read == whole, cut
            read.clear()
        for byte in stream:
            connection._reader.read(bytes([byte]))
        assert read == whole


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
    assert gateway.counters.deliveries_dropped == 0


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
