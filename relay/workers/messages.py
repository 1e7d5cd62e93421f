"""What the supervisor and its workers say to each other."""

from __future__ import annotations

from dataclasses import dataclass

from relay.metrics.snapshot import Snapshot
from relay.settings import Settings


@dataclass(frozen=True, slots=True)
class Begin:
    """First word to a worker.

    Args:
        worker: its number, from 1.
        settings: with the port that is shared, and the worker's own part of what is divided.
        handover: file descriptor of the socket to which it hands over those on which it listens.
    """

    worker: int
    settings: Settings
    handover: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Say goodbye to all clients, then end."""


@dataclass(frozen=True, slots=True)
class End:
    """End at once."""


@dataclass(frozen=True, slots=True)
class TellState:
    """Say how you are; answered with `State`."""


@dataclass(frozen=True, slots=True)
class TellWhole:
    """Asked by a worker: how are all of us? Answered with `Whole`."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A worker accepts clients.

    Args:
        build: what runs there, as `relay_build_info` shows it.
    """

    build: dict[str, str]


@dataclass(frozen=True, slots=True)
class Failed:
    """A worker could not start, and ends.

    Args:
        reason: one line.
    """

    reason: str


@dataclass(frozen=True, slots=True)
class State:
    """How one worker is.

    Args:
        problems: what keeps it from serving clients, in words; empty when it is ready.
        snapshot: what it has counted, and what is so now.
    """

    problems: list[str]
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Whole:
    """How all workers are.

    Args:
        problems: what keeps them from serving clients, with the numbers of the workers; empty when all are ready.
        snapshot: the sum of theirs.
    """

    problems: list[str]
    snapshot: Snapshot


Order = Begin | Drain | End | TellState | Whole
Report = Listening | Failed | State | TellWhole
