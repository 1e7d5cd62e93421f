"""Latencies, second by second: every single one, none sampled.

They are counted in batches, readings and all their arrivals at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from relay.loadtest.buckets import Buckets, Counts, Times
from relay.loadtest.reading import Reading


class Second:
    """The messages that were due in one second: times from when they were due, and from when they were sent."""

    __slots__ = ("due", "sent")

    def __init__(self) -> None:
        self.due = Buckets()
        self.sent = Buckets()


class Recorder:
    """Gathers readings and counts their latencies.

    Args:
        epoch: ns of the monotonic clock at the run's start.

    Attributes:
        delivered: deliveries so far.
    """

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._seconds: dict[int, Second] = {}
        self.delivered = 0

    def record(self, readings: Iterable[Reading]) -> int:
        """Count the deliveries of all readings and return how many they were."""
        arrivals: list[int] = []
        messages: list[int] = []
        dues: list[int] = []
        lags: list[int] = []
        for reading in readings:
            if count := len(reading.dues):
                times = reading.times
                arrivals += times
                messages += [count] * len(times)
                dues += reading.dues * len(times)
                lags += reading.lags * len(times)
        if not dues:
            return 0
        due = np.array(dues, dtype=np.int64)
        late = (np.repeat(np.array(arrivals, dtype=np.int64), messages) - self._epoch - due) // 1000
        return self._count(due, late, late - np.array(lags, dtype=np.int64))

    def take(self) -> list[tuple[int, Counts, Counts]]:
        """Return and forget what was counted: second since the start, times from due and times from sent."""
        taken = [(second, counts.due.take(), counts.sent.take()) for second, counts in self._seconds.items()]
        self._seconds.clear()
        return taken

    def _count(self, dues: Times, late: Times, late_sent: Times) -> int:
        seconds = dues // 1_000_000_000
        for second in np.unique(seconds).tolist():
            counts = self._seconds.setdefault(second, Second())
            chosen = seconds == second
            counts.due.add(late[chosen])
            counts.sent.add(late_sent[chosen])
        self.delivered += len(dues)
        return len(dues)
