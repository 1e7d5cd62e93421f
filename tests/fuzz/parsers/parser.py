"""A pure parser as the fuzzer calls it, and what it may come to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from relay.errors import Refused


class Wrong(Exception):
    """A parser has returned what it never should.

    Args:
        what: in words.
    """

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what

    def __str__(self) -> str:
        return self.what


@dataclass(frozen=True, slots=True)
class Parser:
    """One parser, or a few that are called one after the other.

    Args:
        weight: how often it is chosen.
        make: returns an input that is valid, or nearly.
        tokens: what mutations put in.
        read: returns what the parser makes of an input, in a form that can be compared. Raises `Wrong` when it is of
            another type than declared, or contradicts itself.
        read_pieces: the same for an input that comes in pieces; None: it always comes whole.
        errors: what the parser may raise.
        statuses: of `Refused`.
        secrets: returns the credentials of an input, which no error may repeat.
        max_bytes: of an input.
        untouched: share of the inputs that stay as `make` has made them.
        for_clients: whether the errors are told to clients; else they are for logs, which escape what can't be printed.
    """

    weight: int
    make: Callable[[Random], bytes]
    tokens: Sequence[bytes]
    read: Callable[[bytes], Any]
    read_pieces: Callable[[Sequence[bytes]], Any] | None = None
    errors: tuple[type[Exception], ...] = (Refused,)
    statuses: Collection[int] = range(400, 500)
    secrets: Callable[[bytes], Sequence[str]] = lambda _data: ()
    max_bytes: int = 2000
    untouched: float = 0.08
    for_clients: bool = True


def expect(value: object, kinds: type | tuple[type, ...]) -> None:
    """Raise `Wrong` for a value of another type than a parser declares."""
    if not isinstance(value, kinds):
        raise Wrong(f"it returns a {type(value).__name__}")
