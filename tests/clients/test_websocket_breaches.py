"""Clients that break the rules of WebSockets, and the codes that close them."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from relay.clients.message_reader import MAX_FRAGMENTS
from relay.errors import Disconnect
from relay.limits.rate import Rate
from relay.namespaces import ChannelOptions
from tests.clients.collecting import collect
from tests.clients.raw_clients import connections, join
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_frame

pytestmark = pytest.mark.usefixtures("short_close_timeout")


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
