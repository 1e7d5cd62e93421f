"""What can be said of one item."""

from __future__ import annotations

import enum
from typing import NamedTuple


class State(enum.Enum):
    """How an item stands."""

    OK = "ok"
    UNKNOWN = "unknown"
    """It can't be seen from here: a person has to look."""
    WARNING = "warning"
    """It may be meant, or will do for a while."""
    MISSING = "missing"
    """Not without it."""


class Verdict(NamedTuple):
    """The state of an item, and one sentence: what is so, why that matters, and what to set."""

    state: State
    reason: str


def ok(reason: str) -> Verdict:
    """Return that nothing is to be done."""
    return Verdict(State.OK, reason)


def unknown(reason: str) -> Verdict:
    """Return that a person has to look, and for what."""
    return Verdict(State.UNKNOWN, reason)


def warning(reason: str) -> Verdict:
    """Return what is better otherwise."""
    return Verdict(State.WARNING, reason)


def missing(reason: str) -> Verdict:
    """Return what has to be set."""
    return Verdict(State.MISSING, reason)
