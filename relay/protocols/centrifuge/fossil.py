"""Deltas between two publications in Fossil's delta format, which clients of the Centrifuge protocol apply.

A delta is the size of the target and a line break, then pieces, then a checksum of the target. A piece is a copy,
`SIZE@OFFSET,` of the source, or new bytes, `SIZE:BYTES`. Numbers are written to the base of 64.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack
from typing import Final

BLOCK_BYTES: Final = 16
"""What a copy has at least, but for the ends of characters; pieces of the source are found by blocks of this size."""

MAX_BLOCKS: Final = 4096
"""Blocks of the source that are looked for: 64 KiB. So many take half a millisecond."""

MAX_LOOKUPS: Final = 8192
"""Places of the target at which blocks are looked for, together a millisecond. What comes behind is new bytes, but for
what the ends of both have in common: clients are owed the message, and a small delta is only a favour."""

COPY_LOOKUPS: Final = 32
"""Lookups in whose time one copy is made."""

MAX_BYTES: Final = 256 * 1024
"""Of a source and of a target: comparing so many takes five milliseconds, in which all other clients wait."""

CONTINUATION_BYTES: Final = 3
"""What a character of UTF-8 has at most behind its first byte."""

_DIGITS: Final = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"


def create(source: bytes, target: bytes) -> bytes | None:
    """Return the delta that makes the target of the source.

    Of a target in UTF-8 it is UTF-8: no character is cut.

    Returns:
        None: it would be no shorter than the target, or one of the two is longer than `MAX_BYTES`.
    """
    if max(len(source), len(target)) > MAX_BYTES:
        return None
    pieces = [_number(len(target)), b"\n"]
    at = 0
    for start, offset, size in _copies(source, target):
        if start > at:
            pieces += (_number(start - at), b":", target[at:start])
        pieces += (_number(size), b"@", _number(offset), b",")
        at = start + size
    if at < len(target):
        pieces += (_number(len(target) - at), b":", target[at:])
    pieces += (_number(_checksum(target)), b";")
    delta = b"".join(pieces)
    return delta if len(delta) < len(target) else None


def _copies(source: bytes, target: bytes) -> Iterator[tuple[int, int, int]]:
    """Go through what the target has of the source, in order: place in the target, place in the source, size."""
    shorter = min(len(source), len(target))
    head = _common(source, 0, target, 0, shorter)
    tail = _common(source[::-1], 0, target[::-1], 0, shorter - head)
    end = len(target) - tail
    for start, offset, size in ((0, 0, head), *_blocks(source, target, head, end), (end, len(source) - tail, tail)):
        if size < BLOCK_BYTES:
            continue
        first, last = start, start + size
        for _ in range(CONTINUATION_BYTES):
            first += _cuts(target, first)
            last -= _cuts(target, last)
        yield first, offset + first - start, last - first


def _blocks(source: bytes, target: bytes, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Go through what a part of the target has of the source, as blocks of it are found, as `_copies` does."""
    if end - start < BLOCK_BYTES:
        return
    last = min(len(source) // BLOCK_BYTES, MAX_BLOCKS) * BLOCK_BYTES
    # Backwards, so that of equal blocks the first is found: more of the source comes behind it.
    places = {source[place : place + BLOCK_BYTES]: place for place in range(last - BLOCK_BYTES, -1, -BLOCK_BYTES)}
    at, done, left = start, start, MAX_LOOKUPS
    while left > 0 and at + BLOCK_BYTES <= end:
        place = places.get(target[at : at + BLOCK_BYTES])
        if place is None:
            at += 1
            left -= 1
            continue
        size = _common(source, place, target, at, min(len(source) - place, end - at))
        # No more than a block, before which there would be another: so the time stays linear.
        back = 0
        while back < min(BLOCK_BYTES - 1, at - done, place) and source[place - back - 1] == target[at - back - 1]:
            back += 1
        yield at - back, place - back, size + back
        at += size
        done = at
        left -= COPY_LOOKUPS


def _common(source: bytes, place: int, target: bytes, at: int, limit: int) -> int:
    """Return how many bytes, at most `limit`, are the same from two places on, in time linear in them."""
    size, step = 0, 2 * BLOCK_BYTES
    while size < limit and source[place + size : place + size + step] == target[at + size : at + size + step]:
        size += step
        step *= 2
    low, high = min(size, limit), min(size + step, limit)
    while low < high:
        middle = (low + high + 1) // 2
        if source[place + low : place + middle] == target[at + low : at + middle]:
            low = middle
        else:
            high = middle - 1
    return low


def _cuts(target: bytes, at: int) -> bool:
    """Return whether a place of a text in UTF-8 is within a character; others have such places before their begin."""
    return 0 <= at < len(target) and target[at] & 0xC0 == 0x80


def _number(number: int) -> bytes:
    digits = bytearray()
    while True:
        digits.append(_DIGITS[number & 63])
        number >>= 6
        if not number:
            return bytes(reversed(digits))


def _checksum(target: bytes) -> int:
    """Return the sum of the target's 32-bit words, the last filled up with zeros."""
    words = -(-len(target) // 4)
    return int(sum(unpack(f">{words}I", target.ljust(4 * words, b"\0")))) & 0xFFFFFFFF
