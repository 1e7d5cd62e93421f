"""The two judges of WebSocket frames, the relay's short way and the library's parser, which have to agree."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any, Final

from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from relay.clients.context import websockets_logger
from relay.clients.utf8_validator import Utf8Validator
from relay.clients.whole_frames import frame_end, frames_before, whole_frames
from relay.message import Kind
from tests.fuzz.grammar import websocket
from tests.fuzz.parsers.parser import Parser, Wrong, expect

MAX_SIZE: Final = 500
"""Of a message, in bytes."""

MOST: Final = 1_000_000

Read = tuple[list[tuple[Kind, bytes]], int, int, bytes]
"""What `whole_frames` returns."""


def make_frames(random: Random) -> bytes:
    """Return the frames of one connection, as many as a short input has room for."""
    if random.random() < 0.1:
        return websocket.frames(random)[:1500]
    made = b""
    for _ in range(random.choice((1, 2, 2, 3, 5))):
        made += (websocket.fragments if random.random() < 0.2 else websocket.any_frame)(random)[:700]
    return made


def read_frames(data: bytes) -> tuple[Any, ...]:
    """Return what both judges make of some bytes."""
    own = whole_frames(data, MAX_SIZE, 0, MOST)
    _check_own(data, own)
    return own, _by_the_library((data,), own)


def read_frames_in_pieces(pieces: Sequence[bytes]) -> tuple[Any, ...]:
    """Return the same when they come in pieces."""
    messages: list[tuple[Kind, bytes]] = []
    data, start, controls, pongs = b"", 0, 0, b""
    for piece in pieces:
        data += piece
        more, start, further, answers = whole_frames(data, MAX_SIZE, start, MOST)
        messages += more
        controls += further
        pongs += answers
    own = messages, start, controls, pongs
    return own, _by_the_library(pieces, own)


def _check_own(data: bytes, own: Read) -> None:
    messages, end, controls, pongs = own
    expect(pongs, bytes)
    if not 0 <= end <= len(data) or frames_before(data, 0, len(messages)) > len(messages) + controls:
        raise Wrong(f"frames up to {end} in {len(data)} bytes")
    if (bounds := frame_end(data, end)) is not None and not end < bounds[0] <= bounds[1]:
        raise Wrong(f"a frame has its payload and its end at {bounds}")
    if end and whole_frames(data[:end], MAX_SIZE, 0, MOST) != own:
        raise Wrong("what follows changes what came before")


def _by_the_library(pieces: Sequence[bytes], own: Read) -> tuple[Any, ...]:
    """Return what the library makes of the pieces; raise `Wrong` when it begins otherwise than the short way."""
    protocol = ServerProtocol(state=State.OPEN, max_size=MAX_SIZE, logger=websockets_logger)
    for piece in pieces:
        protocol.receive_data(piece)
    frames = [event for event in protocol.events_received() if isinstance(event, Frame)]
    written = protocol.data_to_send()
    failed = None if protocol.parser_exc is None else type(protocol.parser_exc).__name__
    # They hold each other: else only a full garbage collection would free them.
    protocol.parser.close()
    protocol.parser_exc = None
    messages, _, controls, pongs = own
    if _beginning(frames[: len(messages) + controls], written) != (messages, controls, pongs):
        raise Wrong(f"the library reads something else than {own}: {frames[:20]}")
    read = [(int(frame.opcode), bytes(frame.data), frame.fin) for frame in frames]
    return read, b"".join(written), failed, protocol.state.name


def _beginning(frames: Sequence[Frame], written: Sequence[bytes]) -> tuple[list[tuple[Kind, bytes]], int, bytes]:
    """Return whole messages, the number of pings and pongs, and the answers to pings, up to the first other frame.

    The short way may stop earlier: it leaves to the library whatever is unusual.
    """
    messages, controls, pings = [], 0, 0
    for frame in frames:
        if frame.opcode in (Opcode.PING, Opcode.PONG):
            controls += 1
            pings += frame.opcode is Opcode.PING
        elif frame.fin and frame.opcode in (Opcode.TEXT, Opcode.BINARY):
            messages.append((Kind.TEXT if frame.opcode is Opcode.TEXT else Kind.BINARY, bytes(frame.data)))
        else:
            break
    return messages, controls, b"".join(written[:pings])


MASK: Final = b"\x01\x02\x03\x04"


def make_text(random: Random) -> bytes:
    """Return the payload of a text, masked."""
    return b"".join(random.choices(websocket.PAYLOADS[:9], k=random.choice((1, 2, 3))))[:300]


def read_text(data: bytes) -> bool:
    """Return whether a text is refused."""
    validator = Utf8Validator()
    validator.begin_frame(MASK)
    plain = bytes(byte ^ MASK[place % 4] for place, byte in enumerate(data))
    wrong_at = None
    try:
        plain.decode()
    except UnicodeDecodeError as error:
        wrong_at = error.start
    try:
        validator.feed(data)
    except UnicodeDecodeError:
        if wrong_at is None:
            raise Wrong("a valid text is refused") from None
        return True
    # The beginning of a character may come at the end. Of a surrogate it does no harm: its third byte is refused.
    if wrong_at is not None and wrong_at < len(plain) - 3:
        raise Wrong("a text passes that no text begins like")
    return False


def read_text_in_pieces(pieces: Sequence[bytes]) -> bool:
    """Return whether a text in pieces is refused."""
    validator = Utf8Validator()
    validator.begin_frame(MASK)
    try:
        for piece in pieces:
            validator.feed(piece)
    except UnicodeDecodeError:
        return True
    return False


PARSERS: Final = {
    "whole-frames": Parser(20, make_frames, websocket.TOKENS, read_frames, read_frames_in_pieces, errors=()),
    "utf-8": Parser(3, make_text, websocket.TOKENS, read_text, read_text_in_pieces, errors=()),
}
