"""Positions: places in the histories of channels, as `EPOCH:OFFSET`."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from relay.errors import RelayError

MAX_OFFSET: Final = 2**53 - 1
"""Redis counts in doubles where a script does, and so do clients in JavaScript."""

MAX_EPOCH_LETTERS: Final = 64

_EPOCH: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_EPOCH_LETTERS}}}")
_TEXT: Final = re.compile(rf"({_EPOCH.pattern}):(0|[1-9][0-9]{{0,15}})")


class PositionError(RelayError, ValueError):
    """A text is no position."""

    def __str__(self) -> str:
        return "a position is EPOCH:OFFSET, as the relay has told it"


class Position(msgspec.Struct, frozen=True, gc=False):
    """The place of a message in the history of its channel.

    Args:
        epoch: names one life of a history: a history that was lost and begun anew has another one, so that positions of
            the two are never compared. 1 to 64 letters, digits, `_` and `-`.
        offset: number of the message in it, without holes; 0: before the first one. At most `MAX_OFFSET`.
    """

    epoch: str
    offset: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.offset}"


def is_epoch(text: str) -> bool:
    """Return whether a text is the epoch of some position."""
    return _EPOCH.fullmatch(text) is not None


def parse_position(text: str) -> Position:
    """Return the position that a text names.

    Raises:
        PositionError: it is malformed.
    """
    found = _TEXT.fullmatch(text)
    if found is None or int(found[2]) > MAX_OFFSET:
        raise PositionError
    return Position(found[1], int(found[2]))
