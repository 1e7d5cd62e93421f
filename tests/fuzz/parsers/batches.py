"""Inputs for parsers, many of one kind at a time: to make them must take less time than to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from random import Random
from typing import Final, NamedTuple

from tests.fuzz.mutation import mutate
from tests.fuzz.parsers.parser import Parser

BATCH: Final = 250
CORPUS: Final = 200
FRESH: Final = 10
"""How many inputs of a corpus are made anew for each batch."""

RANDOM: Final = 0.02
WHOLE: Final = 0.5
"""Share of the inputs that aren't cut."""

BYTE_BY_BYTE: Final = 0.04
BYTE_BY_BYTE_BYTES: Final = 300


class Batch(NamedTuple):
    """Inputs of one parser.

    Args:
        name: of the parser.
        inputs: the data of each, and where it is cut.
    """

    name: str
    inputs: Sequence[tuple[bytes, tuple[int, ...]]]


class Batches:
    """Makes them.

    Args:
        seed: of the whole run.
        parsers: those that are wanted, by name.
    """

    def __init__(self, seed: int, parsers: Mapping[str, Parser]) -> None:
        self._random = Random(seed)
        self._parsers = parsers
        self._names = list(parsers)
        self._weights = [parser.weight for parser in parsers.values()]
        self._corpora = {name: [self._make(name) for _ in range(CORPUS)] for name in parsers}

    def next(self, count: int = BATCH) -> Batch:
        """Return the next inputs."""
        name = self._random.choices(self._names, self._weights)[0]
        corpus = self._corpora[name]
        for _ in range(FRESH):
            corpus[self._random.randrange(CORPUS)] = self._make(name)
        return Batch(name, [self._one(name, corpus) for _ in range(count)])

    def _make(self, name: str) -> bytes:
        parser = self._parsers[name]
        return parser.make(self._random)[: parser.max_bytes]

    def _one(self, name: str, corpus: Sequence[bytes]) -> tuple[bytes, tuple[int, ...]]:
        random, parser = self._random, self._parsers[name]
        chance = random.random()
        data = corpus[int(random.random() * CORPUS)]
        if chance < RANDOM:
            data = random.randbytes(random.choice((0, 1, 2, 10, 100, 1000)))
        elif chance > RANDOM + parser.untouched:
            data = mutate(data, random, parser.tokens, corpus)[: parser.max_bytes]
        return data, () if parser.read_pieces is None else _cuts(random, len(data))


def _cuts(random: Random, size: int) -> tuple[int, ...]:
    """Return where the pieces of an input end."""
    chance = random.random()
    if size < 2 or chance < WHOLE:
        return ()
    if chance > 1 - BYTE_BY_BYTE and size <= BYTE_BY_BYTE_BYTES:
        return tuple(range(1, size))
    first = 1 + int(random.random() * (size - 1))
    second = 1 + int(random.random() * (size - 1))
    return (first,) if first == second else (min(first, second), max(first, second))


def pieces_of(data: bytes, cuts: Sequence[int]) -> Sequence[bytes]:
    """Return the pieces of an input."""
    return [data[start:end] for start, end in pairwise((0, *cuts, len(data)))] if cuts else ()
