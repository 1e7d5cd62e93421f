"""How long the supervisor waits for what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Timing:
    """Times of the supervisor, in seconds.

    Args:
        status_interval: between two status requests of its own. What a worker counts in this time before it crashes is
            lost.
        status_timeout: for a worker's answer; after it, the answers of the other workers are enough.
        suspect_after: a worker that doesn't answer for so long, or for half of `worker_timeout` when that is less, gets
            no new clients.
        first_pause: before a worker is replaced that has lived for a while; twice as long after each failure.
        longest_pause: limit of that pause.
        steady_after: a process that has lived for so long didn't fail because of how it was started.
        drain_grace: for workers on top of the time that their drain should take.
        stop_timeout: for workers to stop at once; then they are killed.
        exit_timeout: for a process to end once it has closed its pipe; then it is killed.
    """

    status_interval: float = 1.0
    status_timeout: float = 2.0
    suspect_after: float = 2.0
    first_pause: float = 0.25
    longest_pause: float = 15.0
    steady_after: float = 30.0
    drain_grace: float = 10.0
    stop_timeout: float = 2.0
    exit_timeout: float = 5.0


DEFAULT_TIMING: Final = Timing()
