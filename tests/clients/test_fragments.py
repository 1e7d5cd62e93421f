"""Messages that come in fragments, and those that never become whole."""

from __future__ import annotations

import struct
from contextlib import AsyncExitStack

import pytest

from relay.clients.frame_rates import FRAGMENTS
from relay.errors import Disconnect
from relay.limits.rate import Rate
from tests.clients.both_ends import join_both
from tests.clients.collecting import collect
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, TEXT, encode_frame

pytestmark = pytest.mark.usefixtures("short_close_timeout")


@pytest.mark.parametrize("piece", [b"", b"x"])
async def test_more_small_fragments_than_any_client_needs_close_with_1008(
    embedded: EmbeddedFactory, piece: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.clients.message_reader.FRAGMENTS", Rate(FRAGMENTS.per_second, 100))
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client, _ = await join_both(stack, gateway)
        message = [encode_frame(TEXT, piece, fin=False), encode_frame(CONTINUATION, piece)]
        await client.send(b"".join(message) * 300)
        assert (await client.close_frame())[0] == 1008
        assert gateway.counters.disconnects == {"FRAME_RATE": 1}


async def test_large_fragments_are_bounded_by_their_bytes_alone(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.clients.message_reader.FRAGMENTS", Rate(0.001, 2))
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client, _ = await join_both(stack, gateway, "/ws/c?echo=1")
        await client.send(encode_frame(BINARY, bytes(1024), fin=False))
        await client.send(encode_frame(CONTINUATION, bytes(1024), fin=False) * 20)
        await client.send(encode_frame(CONTINUATION))
        assert (await client.frame()).payload == bytes(21 * 1024)


async def test_a_close_between_fragments_is_a_close(embedded: EmbeddedFactory) -> None:
    """RFC 6455, section 5.4: control frames may stand in the middle of a fragmented message."""
    (gateway,) = await embedded(1)
    for first in (encode_frame(TEXT, b"a", fin=False), encode_frame(BINARY, b"a", fin=False)):
        for cut in (0, 1, 2, 5, 9):
            async with AsyncExitStack() as stack:
                client, _ = await join_both(stack, gateway)
                close = encode_frame(CLOSE, struct.pack("!H", 1000) + b"bye")
                await client.send(first + close[:cut])
                await client.send(close[cut:])
                assert await client.close_frame() == (1000, "bye")
    assert not gateway.counters.disconnects
    assert not gateway.counters.messages_received


async def test_a_broken_close_between_fragments_is_a_breach(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client, _ = await join_both(stack, gateway)
        await client.send(encode_frame(TEXT, b"a", fin=False) + encode_frame(CLOSE, b"\x03"))
        assert (await client.close_frame())[0] == 1002
        await wait_until(lambda: gateway.counters.disconnects == {"PROTOCOL_ERROR": 1})


EURO = "\u20ac".encode()
# Autobahn's 6.4: text that is invalid from its 12th byte on, and what may follow.
START, WRONG, END = "\u03ba\u1f79\u03c3\u03bc\u03b5".encode(), b"\xf4\x90\x80\x80", b"edited"


@pytest.mark.parametrize(
    "pieces",
    [
        [encode_frame(TEXT, START, fin=False), encode_frame(CONTINUATION, WRONG, fin=False)],
        [encode_frame(TEXT, START + WRONG[:1], fin=False), encode_frame(CONTINUATION, WRONG[1:], fin=False)],
        [encode_frame(TEXT, START + WRONG[:2], fin=False)],
        [encode_frame(TEXT, EURO[:1], fin=False), encode_frame(PING), encode_frame(CONTINUATION, b"x", fin=False)],
        [encode_frame(TEXT, START + WRONG + END)[: -len(END) - 2]],
        [encode_frame(TEXT, START + WRONG + END)[: 6 + len(START)]],
        [encode_frame(TEXT, b"x" * 200 + WRONG + bytes(50_000))[:1000]],
    ],
    ids=["fragment", "across fragments", "first fragment", "across a ping", "in a frame", "not yet", "long frame"],
)
async def test_invalid_text_is_noticed_before_the_message_is_whole(
    embedded: EmbeddedFactory, pieces: list[bytes], request: pytest.FixtureRequest
) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        client, _ = await join_both(stack, gateway)
        if "not yet" in request.node.name:
            await client.send(pieces[0])
            assert await stays_true(lambda: not gateway.counters.disconnects, 0.05)
            return
        for piece in pieces:
            await client.send(piece)
        assert await client.close_frame() == (1007, Disconnect.INVALID_TEXT.reason)
        await wait_until(lambda: gateway.counters.disconnects == {"INVALID_TEXT": 1})


async def test_text_and_binary_in_any_pieces_pass(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    async with AsyncExitStack() as stack:
        _, connection = await join_both(stack, gateway)
        taken: list[bytes] = []
        connection._context.node.publish = collect(taken)  # type: ignore[method-assign]
        text = ("\u65e5\u672c" * 50).encode()
        stream = (
            encode_frame(TEXT, text[:100], fin=False)
            + encode_frame(PING, b"\xff")
            + encode_frame(CONTINUATION, text[100:151], fin=False)
            + encode_frame(CONTINUATION, text[151:])
            + encode_frame(BINARY, WRONG, fin=False)
            + encode_frame(CONTINUATION, WRONG)
            + encode_frame(TEXT, text)
        )
        for size in (1, 2, 3, 7, 64, 150, len(stream)):
            for start in range(0, len(stream), size):
                connection._reader.read(stream[start : start + size])
            assert taken == [text, WRONG + WRONG, text], size
            taken.clear()
        assert not gateway.counters.disconnects


@pytest.mark.parametrize(
    "begun",
    [
        encode_frame(TEXT, b"x" * 60_000, fin=False),
        encode_frame(BINARY, b"x" * 60_000)[:-1],
        encode_frame(PING, b"x")[:-1],
    ],
    ids=["fragments", "frame", "ping"],
)
async def test_a_message_that_is_never_finished_is_given_up(embedded: EmbeddedFactory, begun: bytes) -> None:
    (gateway,) = await embedded(1)
    unfinished = parts_of(gateway).context.unfinished
    async with AsyncExitStack() as stack:
        client, connection = await join_both(stack, gateway)
        await client.send(begun)
        await wait_until(lambda: len(unfinished) == 1)
        for _ in range(5):
            unfinished.check()
        assert await client.close_frame() == (1008, "message not finished in time")
        assert gateway.counters.disconnects == {"MESSAGE_TIMEOUT": 1}
        assert connection._reader._fragments is None
        assert not connection._reader.ws.reader.buffer


async def test_messages_in_pieces_that_are_finished_are_forgotten(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    unfinished = parts_of(gateway).context.unfinished
    async with AsyncExitStack() as stack:
        client, _ = await join_both(stack, gateway)
        leaver, _ = await join_both(stack, gateway)
        await leaver.send(encode_frame(TEXT, b"a", fin=False))
        await client.send(encode_frame(TEXT, b"a", fin=False))
        await wait_until(lambda: len(unfinished) == 2)
        await client.send(encode_frame(CONTINUATION, b"b") + encode_frame(BINARY, bytes(60_000)))
        leaver.abort()
        await wait_until(lambda: gateway.counters.messages_received == 2)
        await wait_until(lambda: len(unfinished) == 0)
