"""Bytes as RFC 6455 has them."""

from __future__ import annotations

import random
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.generator.frame_codec import (
    BINARY,
    CLOSE,
    MAX_FRAME_BYTES,
    PING,
    TEXT,
    RemoteProtocolError,
    client_frame,
    first_frame,
)
from tests.harness.raw_websocket import encode_frame
from tests.harness.server_session import take_frame

SIZES = (0, 1, 3, 4, 125, 126, 127, 65535, 65536, 70000)

server_frame = partial(encode_frame, masked=False)


def test_a_masked_frame_is_that_of_the_standard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 5.7: a single-frame masked text message with "Hello"."""
    monkeypatch.setattr(random, "getrandbits", lambda _bits: 0x37FA213D)
    assert client_frame(TEXT, b"Hello").hex() == "818537fa213d7f9f4d5158"


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("opcode", [TEXT, BINARY, CLOSE])
def test_a_server_reads_what_a_client_writes(opcode: int, size: int) -> None:
    content = random.randbytes(size)
    data = bytearray(client_frame(opcode, content) + b"more")
    frame = take_frame(data)
    assert frame is not None
    assert (frame.opcode, frame.payload, frame.fin, bytes(data)) == (opcode, content, True, b"more")


def test_masks_differ() -> None:
    assert len({client_frame(TEXT, b"hello") for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("810548656c6c6f", (0x81, b"Hello")),
        ("010348656c", (0x01, b"Hel")),
        ("80026c6f", (0x80, b"lo")),
        ("890548656c6c6f", (0x89, b"Hello")),
    ],
)
def test_a_servers_frames_are_those_of_the_standard(data: str, expected: tuple[int, bytes]) -> None:
    """Section 5.7."""
    raw = bytes.fromhex(data)
    assert first_frame(raw, 0) == (*expected, len(raw))


@pytest.mark.parametrize("size", SIZES)
def test_a_frame_is_found_where_it_begins_and_only_when_it_is_complete(size: int) -> None:
    content = random.randbytes(size)
    frame = server_frame(PING, b"before") + server_frame(TEXT, content)
    begin = 8
    assert first_frame(frame + b"\x81", begin) == (0x81, content, len(frame))
    for end in {*range(begin, begin + 12), len(frame) - 1}:
        if end < len(frame):
            assert first_frame(frame[:end], begin) is None, end


@given(st.lists(st.tuples(st.sampled_from((0x81, 0x82, 0x89)), st.binary(max_size=200)), max_size=5))
def test_frames_follow_each_other(frames: list[tuple[int, bytes]]) -> None:
    data = b"".join(server_frame(head & 0x0F, content) for head, content in frames)
    found, position = [], 0
    while (frame := first_frame(data, position)) is not None:
        found.append(frame[:2])
        position = frame[2]
    assert (found, position) == (frames, len(data))


@pytest.mark.parametrize("size", [0, 126, 65536])
def test_a_masked_frame_from_a_server_is_refused(size: int) -> None:
    with pytest.raises(RemoteProtocolError, match="masked frame from a server"):
        first_frame(encode_frame(TEXT, b"x" * size), 0)


@pytest.mark.parametrize("size", [MAX_FRAME_BYTES + 1, 1 << 62, (1 << 64) - 1])
def test_a_gigantic_frame_is_refused_before_it_comes(size: int) -> None:
    with pytest.raises(RemoteProtocolError, match=f"frame of {size} bytes"):
        first_frame(bytes([0x82, 127]) + size.to_bytes(8, "big"), 0)
    assert first_frame(bytes([0x82, 127]) + MAX_FRAME_BYTES.to_bytes(8, "big"), 0) is None
