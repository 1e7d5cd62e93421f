"""Whole frames of a server, taken apart."""

from __future__ import annotations

from collections.abc import Iterator


def frames_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Go through the frames of a server (RFC 6455, section 5.2): opcode and payload of each.

    Args:
        data: whole frames, each with the last bit of its message set, and none masked; else an `AssertionError`.
    """
    frames, rest = take_frames(data)
    assert not rest
    return iter(frames)


def take_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Return the frames at the beginning of what a server has sent, see `frames_of`, and the rest."""
    frames, at = [], 0
    while len(data) - at >= 2:
        first, size, start = data[at], data[at + 1], at + 2
        assert first & 0xF0 == 0x80
        assert size < 128
        if size >= 126:
            start += 2 if size == 126 else 8
            size = int.from_bytes(data[at + 2 : start], "big")
        if len(data) < start + size:
            break
        frames.append((first & 0x0F, data[start : start + size]))
        at = start + size
    return frames, data[at:]
