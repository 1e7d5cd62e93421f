"""The messages between the supervisor and its workers; a `Pipe` carries them."""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.metrics.snapshot import Snapshot
from relay.settings import Settings


@dataclass(frozen=True, slots=True)
class Start:
    """The first message to a worker process: start a gateway.

    Args:
        worker: its number, from 1.
        settings: of the gateway, with the port that all workers share, and this worker's share of the gateway's
            limits.
        sockets_fd: file descriptor of the socket over which it sends its listening sockets to the supervisor.
    """

    worker: int
    settings: Settings
    sockets_fd: int


@dataclass(frozen=True, slots=True)
class Reload:
    """Read again what may change while it runs."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Close all clients evenly, then end."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Drop all clients, and end at once."""


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """Request one worker's status; it answers with `WorkerStatus`."""


@dataclass(frozen=True, slots=True)
class CombinedStatusRequest:
    """Request the status of all workers together; the supervisor answers with `CombinedStatus`."""


@dataclass(frozen=True, slots=True)
class Listening:
    """A worker accepts clients.

    Args:
        build: what runs there, as `relay_build_info` shows it.
    """

    build: dict[str, str]


@dataclass(frozen=True, slots=True)
class StartFailed:
    """A worker could not start, and ends.

    Args:
        reason: one line.
        final: whether another process would fail as well.
    """

    reason: str
    final: bool = False


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """The status of one worker.

    Args:
        problems: what keeps it from serving clients, in words; empty when it is ready.
        snapshot: its counters and gauges.
        notes: what an operator should know although it is ready, in words.
    """

    problems: list[str]
    snapshot: Snapshot
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class CombinedStatus:
    """The status of all workers together.

    Args:
        problems: what keeps them from serving clients, with the numbers of the workers; empty when all are ready.
        snapshot: the sum of their counters and gauges.
        notes: what an operator should know although they are ready, with the numbers of the workers.
    """

    problems: list[str]
    snapshot: Snapshot
    notes: list[str] = field(default_factory=list)


SupervisorMessage = Start | Reload | Drain | Stop | StatusRequest | CombinedStatus
WorkerMessage = Listening | StartFailed | WorkerStatus | CombinedStatusRequest
