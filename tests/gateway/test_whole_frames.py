"""The short way in agrees with the library's parser, whatever arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from relay.gateway.whole_frames import whole_frames
from relay.message import Kind
from tests.harness.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, encode_frame

MAX_SIZE = 1000

payloads = st.binary(max_size=300)
messages = st.builds(encode_frame, st.sampled_from([TEXT, BINARY]), payloads)
others = st.one_of(
    st.builds(encode_frame, st.sampled_from([PING, PONG, CLOSE, CONTINUATION, 3, 11]), st.binary(max_size=130)),
    st.builds(lambda payload: encode_frame(TEXT, payload, fin=False), payloads),
    st.builds(lambda payload: encode_frame(BINARY, payload, masked=False), payloads),
    st.builds(lambda bits: encode_frame(TEXT, b"reserved", reserved=bits), st.integers(1, 7)),
    st.just(encode_frame(BINARY, bytes(MAX_SIZE + 1))),
    st.just(encode_frame(BINARY, bytes(70_000))),
)


def judged_by_the_library(data: bytes) -> list[tuple[Kind, bytes]]:
    """Return the whole messages that `websockets` reads at the start of some data."""
    protocol = ServerProtocol(state=State.OPEN, max_size=MAX_SIZE)
    protocol.receive_data(data)
    read = []
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        if event.opcode is Opcode.PONG:
            continue
        if event.opcode not in (Opcode.TEXT, Opcode.BINARY) or not event.fin:
            break
        read.append((Kind.TEXT if event.opcode is Opcode.TEXT else Kind.BINARY, bytes(event.data)))
    return read


@given(st.lists(st.one_of(messages, others), max_size=8), st.integers(0, 20))
def test_it_reads_what_the_library_reads(frames: list[bytes], cut: int) -> None:
    data = b"".join(frames)
    data = data[: len(data) - cut]
    read, used = whole_frames(data, MAX_SIZE)
    assert read == judged_by_the_library(data)
    assert read == judged_by_the_library(data[:used])
    assert used <= len(data)


@given(st.binary(max_size=200))
def test_anything_else_is_left_to_the_library(data: bytes) -> None:
    read, used = whole_frames(data, MAX_SIZE)
    assert read == judged_by_the_library(data)
    assert used or not read


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, MAX_SIZE])
def test_sizes_around_the_changes_of_the_header(size: int) -> None:
    frame = encode_frame(BINARY, b"x" * size)
    assert whole_frames(frame, MAX_SIZE) == ([(Kind.BINARY, b"x" * size)], len(frame))
    assert whole_frames(frame[:-1], MAX_SIZE) == ([], 0)


def test_a_message_that_is_too_big_is_left_for_the_library_to_refuse() -> None:
    small, big = encode_frame(TEXT, b"ok"), encode_frame(TEXT, b"x" * (MAX_SIZE + 1))
    assert whole_frames(small + big, MAX_SIZE) == ([(Kind.TEXT, b"ok")], len(small))
