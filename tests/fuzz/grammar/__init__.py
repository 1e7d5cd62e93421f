"""The grammars of the fuzzer, and the targets that are made of them.

| target | bytes of | taken in by |
|---|---|---|
| http | HTTP requests, one or several | a connection |
| handshake | an opening handshake, and what follows it | a connection |
| frames | frames behind a handshake that is accepted | a connection |
| proxy | a PROXY header, and a request or a handshake | a connection |
| mixed | requests, then a handshake and frames | a connection |
| centrifuge | a handshake and commands of the Centrifuge protocol, JSON or Protobuf | a connection |
| stream | a request of such a client that hears over a response | a connection |
| credential | a request with tokens or keys, perhaps frames behind it | a connection |
| envelope | a message on the bus | the subscription of a channel |
| command | a message to all gateways | the control channel |
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from tests.fuzz.case import Case, Ending, Reading
from tests.fuzz.grammar import bus, centrifuge, credential, http, proxy, websocket
from tests.fuzz.mutation import mutate

UNTOUCHED = 0.15
"""Share of the inputs that stay as the grammar has made them."""

RANDOM = 0.03
"""Share of the inputs that no grammar has made."""

ENDINGS = (*(Ending.EOF,) * 12, Ending.RESET, Ending.RESET, *(Ending.SILENCE,) * 4, Ending.PONGS)

READINGS = (*(Reading.ALWAYS,) * 60, Reading.LATE, Reading.LATE, Reading.NEVER)


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of inputs.

    Args:
        weight: how often it is chosen.
        make: returns an input that is valid, or nearly.
        tokens: what mutations put in.
        prefix: returns what comes in front, and is never mutated.
        connection: whether a connection takes it in; else the bus.
    """

    weight: int
    make: Callable[[Random], bytes]
    tokens: Sequence[bytes]
    prefix: Callable[[Random], bytes] = lambda _random: b""
    connection: bool = True


def _mixed(random: Random) -> bytes:
    return http.requests(random) + websocket.valid_handshake(random) + websocket.frames(random)


def _proxied(random: Random) -> bytes:
    rest = random.choice((http.requests, websocket.handshake, lambda _random: b""))(random)
    return proxy.header(random) + rest


def _opening(random: Random) -> bytes:
    return websocket.handshake(random) + (websocket.frames(random) if random.random() < 0.5 else b"")


TARGETS: Final = {
    "http": Target(20, http.requests, http.TOKENS),
    "handshake": Target(25, _opening, http.TOKENS),
    "frames": Target(35, websocket.frames, websocket.TOKENS, websocket.valid_handshake),
    "proxy": Target(10, _proxied, proxy.TOKENS + http.TOKENS),
    "mixed": Target(5, _mixed, http.TOKENS + websocket.TOKENS),
    "credential": Target(8, credential.request, credential.TOKENS),
    "centrifuge": Target(15, centrifuge.frames, centrifuge.TOKENS + websocket.TOKENS),
    "stream": Target(4, centrifuge.streams, centrifuge.TOKENS + http.TOKENS),
    "envelope": Target(4, bus.envelope, bus.TOKENS, connection=False),
    "command": Target(1, bus.command, bus.COMMAND_TOKENS, connection=False),
}


def is_connection(target: str) -> bool:
    """Return whether inputs of a target are sent over a connection; else they come from the bus."""
    return TARGETS[target].connection


class Generator:
    """Makes inputs.

    Args:
        seed: of the whole run.
        targets: names of those that are wanted.
    """

    def __init__(self, seed: int, targets: Sequence[str]) -> None:
        self._random = Random(seed)
        self._names = list(targets)
        self._weights = [TARGETS[name].weight for name in targets]
        self._corpora = {name: [TARGETS[name].make(self._random) for _ in range(64)] for name in targets}

    def make(self, count: int, target: str | None = None) -> list[Case]:
        """Return inputs.

        Args:
            count: how many.
            target: of half of them, if it is wanted at all; None: all are mixed.
        """
        names = self._random.choices(self._names, self._weights, k=count)
        if target in self._names:
            names[::2] = [target] * len(names[::2])
        return [self._one(name) for name in names]

    def _one(self, name: str) -> Case:
        random, target = self._random, TARGETS[name]
        chance = random.random()
        if chance < RANDOM:
            data = random.randbytes(random.choice((1, 2, 10, 100, 1000, 20_000)))
        elif chance < RANDOM + UNTOUCHED:
            data = target.make(random)
        else:
            data = mutate(target.make(random), random, target.tokens, self._corpora[name])
        data = target.prefix(random) + data
        if not target.connection:
            return Case(name, data)
        return Case(name, data, _cuts(random, len(data)), random.choice(ENDINGS), random.choice(READINGS))


def _cuts(random: Random, size: int) -> tuple[int, ...]:
    """Return where the pieces end: mostly a few random places, sometimes after each byte."""
    if size < 2:
        return ()
    chance = random.random()
    if chance < 0.05 and size <= 1000:
        return tuple(range(1, size))
    if chance < 0.15:
        step = random.choice((2, 3, 7, 64, 1460))
        return tuple(range(step, size, step))[:400]
    return tuple(sorted({random.randrange(1, size) for _ in range(random.choice((1, 1, 2, 3, 5)))}))
