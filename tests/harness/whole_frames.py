"""Whole frames of a server, taken apart."""

from __future__ import annotations

from collections.abc import Iterator


def frames_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Go through the frames of a server (RFC 6455, section 5.2): opcode and payload of each.

    Args:
        data: whole frames, each with the last bit of its message set, and none masked; else an `AssertionError`.
    """
    while data:
        first, size, start = data[0], data[1], 2
        assert first & 0xF0 == 0x80
        assert size < 128
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(data[2:start], "big")
        payload = data[start : start + size]
        assert len(payload) == size
        yield first & 0x0F, payload
        data = data[start + size :]
