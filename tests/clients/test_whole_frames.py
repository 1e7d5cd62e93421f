"""The short way in agrees with the library's parser, whatever arrives."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import State
from websockets.server import ServerProtocol

from relay.clients.whole_frames import whole_frames
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


def judged_by_the_library(data: bytes) -> tuple[list[tuple[Kind, bytes]], bytes]:
    """Return the whole messages that `websockets` reads at the start of some data, and its answers to pings."""
    protocol = ServerProtocol(state=State.OPEN, max_size=MAX_SIZE)
    read, pongs = [], b""
    protocol.receive_data(data)
    writes = protocol.data_to_send()
    for event in protocol.events_received():
        assert isinstance(event, Frame)
        if event.opcode is Opcode.PING:
            pongs += writes.pop(0)
        elif event.opcode in (Opcode.TEXT, Opcode.BINARY) and event.fin:
            read.append((Kind.TEXT if event.opcode is Opcode.TEXT else Kind.BINARY, bytes(event.data)))
        elif event.opcode is not Opcode.PONG:
            break
    return read, pongs


@given(st.lists(st.one_of(messages, others), max_size=8), st.integers(0, 20))
def test_it_reads_what_the_library_reads(frames: list[bytes], cut: int) -> None:
    data = b"".join(frames)
    data = data[: len(data) - cut]
    read, used, _, pongs = whole_frames(data, MAX_SIZE, 0, 100)
    assert (read, pongs) == judged_by_the_library(data)
    assert (read, pongs) == judged_by_the_library(data[:used])
    assert used <= len(data)


@given(st.binary(max_size=200))
def test_anything_else_is_left_to_the_library(data: bytes) -> None:
    read, used, controls, pongs = whole_frames(data, MAX_SIZE, 0, 100)
    assert (read, pongs) == judged_by_the_library(data)
    assert used or not (read or controls)


@given(st.lists(st.one_of(messages, others), max_size=8), st.integers(0, 5))
def test_a_turn_ends_between_two_frames_and_another_goes_on_there(frames: list[bytes], most: int) -> None:
    data = b"".join(frames)
    first, middle, controls, first_pongs = whole_frames(data, MAX_SIZE, 0, most)
    assert len(first) + controls <= most
    rest, end, more_controls, rest_pongs = whole_frames(data, MAX_SIZE, middle, 100)
    assert (first + rest, end, controls + more_controls, first_pongs + rest_pongs) == whole_frames(
        data, MAX_SIZE, 0, 100
    )


def test_between_fragments_only_pings_and_pongs_are_taken() -> None:
    controls = encode_frame(PING, b"a") + encode_frame(PONG, b"b") + encode_frame(PING, b"c")
    data = controls + encode_frame(TEXT, b"no continuation")
    assert whole_frames(data, MAX_SIZE, 0, 100, True) == ([], len(controls), 3, b"\x8a\x01a\x8a\x01c")


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, MAX_SIZE])
def test_sizes_around_the_changes_of_the_header(size: int) -> None:
    frame = encode_frame(BINARY, b"x" * size)
    assert whole_frames(frame, MAX_SIZE, 0, 1) == ([(Kind.BINARY, b"x" * size)], len(frame), 0, b"")
    assert whole_frames(frame[:-1], MAX_SIZE, 0, 1) == ([], 0, 0, b"")


@pytest.mark.parametrize("size", [0, 1, 124, 125])
def test_sizes_of_pings(size: int) -> None:
    frame = encode_frame(PING, b"x" * size)
    assert whole_frames(frame, 1, 0, 1) == ([], len(frame), 1, b"\x8a" + bytes([size]) + b"x" * size)
    assert whole_frames(frame[:-1], 1, 0, 1) == ([], 0, 0, b"")
    assert whole_frames(encode_frame(PING, bytes(126)), MAX_SIZE, 0, 1) == ([], 0, 0, b"")


def test_a_message_that_is_too_big_is_left_for_the_library_to_refuse() -> None:
    small, big = encode_frame(TEXT, b"ok"), encode_frame(TEXT, b"x" * (MAX_SIZE + 1))
    assert whole_frames(small + big, MAX_SIZE, 0, 100) == ([(Kind.TEXT, b"ok")], len(small), 0, b"")
