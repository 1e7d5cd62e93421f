"""Mutations of bytes: what a valid input becomes under a careless or a hostile hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

MAX_BYTES = 310_000
"""Of a mutated input: above what a request may have waiting."""

EDGES = (0, 1, 2, 9, 10, 13, 31, 32, 58, 125, 126, 127, 128, 129, 253, 254, 255)

NUMBERS = (b"0", b"1", b"-1", b"+1", b"00", b"1_0", b"0x10", b"1e3", b"99999999999999999999", b"65536", b"2147483648")


def mutate(data: bytes, random: Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    """Return an input after one to a few mutations.

    Args:
        data: a valid input, or nearly one.
        random: chooses.
        tokens: what may be put in.
        others: inputs of which parts may be put in.
    """
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5, 8))):
        data = random.choice(_MUTATIONS)(data, random, tokens, others)
    return data[:MAX_BYTES]


def _flip(data: bytes, random: Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    if not data:
        return data
    place = random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ 1 << random.randrange(8)]) + data[place + 1 :]


def _set_byte(data: bytes, random: Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + bytes([random.choice(EDGES)]) + data[place + 1 :]


def _insert_bytes(data: bytes, random: Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.randbytes(random.randrange(1, 9)) + data[place:]


def _insert_token(data: bytes, random: Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    place = random.randrange(len(data) + 1)
    return data[:place] + random.choice(tokens) + data[place:]


def _replace_by_token(data: bytes, random: Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    start, end = _part(data, random)
    return data[:start] + random.choice(tokens) + data[end:]


def _delete(data: bytes, random: Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    start, end = _part(data, random)
    return data[:start] + data[end:]


def _repeat(data: bytes, random: Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    start, end = _part(data, random)
    return data[:start] + data[start:end] * random.choice((2, 2, 3, 10, 130)) + data[end:]


def _cut_off(data: bytes, random: Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    return data[: random.randrange(len(data) + 1)]


def _splice(data: bytes, random: Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    other = random.choice(others)
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


def _change_number(data: bytes, random: Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    digits = [place for place, byte in enumerate(data[:2000]) if 48 <= byte <= 57]
    if not digits:
        return data
    place = random.choice(digits)
    return data[:place] + random.choice(NUMBERS) + data[place + 1 :]


def _swap_case(data: bytes, random: Random, tokens: Sequence[bytes], others: Sequence[bytes]) -> bytes:
    start, end = _part(data, random)
    return data[:start] + data[start:end].swapcase() + data[end:]


def _part(data: bytes, random: Random) -> tuple[int, int]:
    start = random.randrange(len(data) + 1)
    return start, min(len(data), start + random.choice((1, 1, 2, 4, 8, 20, 100)))


_MUTATIONS: tuple[Callable[[bytes, Random, Sequence[bytes], Sequence[bytes]], bytes], ...] = (
    _flip,
    _set_byte,
    _insert_bytes,
    _insert_token,
    _replace_by_token,
    _delete,
    _repeat,
    _cut_off,
    _splice,
    _change_number,
    _swap_case,
)
