"""Latencies, second by second: every single one, none sampled.

They are counted in batches, readings and all their arrivals at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from relay.loadtest.generator.chunk_decoder import Reading
from relay.loadtest.result.time_histogram import Buckets, Counts, Times


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
        dues: list[int] = []
        lags: list[int] = []
        times, sizes = [], []
        for reading in readings:
            if reading.dues and reading.times:
                arrivals += reading.times
                dues += reading.dues
                lags += reading.lags
                times.append(len(reading.times))
                sizes.append(len(reading.dues))
        if not times:
            return 0
        messages, chunks = _pairs(np.array(times), np.array(sizes))
        due = np.array(dues, dtype=np.int64)
        late = (np.array(arrivals, dtype=np.int64)[chunks] - self._epoch - due[messages]) // 1000
        self._count(due // 1_000_000_000, messages, late, late - np.array(lags, dtype=np.int64)[messages])
        self.delivered += len(late)
        return len(late)

    def take(self) -> list[tuple[int, Counts, Counts]]:
        """Return and forget what was counted: second since the start, times from due and times from sent."""
        taken = [(second, counts.due.take(), counts.sent.take()) for second, counts in self._seconds.items()]
        self._seconds.clear()
        return taken

    def _count(self, seconds: Times, messages: Times, late: Times, late_sent: Times) -> None:
        """Count deliveries by the second in which their messages were due; seconds are of the messages."""
        known = set(seconds.tolist())
        for second in known:
            counts = self._seconds.setdefault(second, Second())
            chosen = (seconds == second)[messages] if len(known) > 1 else slice(None)
            counts.due.add(late[chosen])
            counts.sent.add(late_sent[chosen])


def _pairs(times: Times, sizes: Times) -> tuple[Times, Times]:
    """Return the deliveries of all readings: of each the number of its message, and the number of its chunk.

    Args:
        times: how often the chunk of each reading came.
        sizes: how many messages are in it.
    """
    of_chunk = np.repeat(sizes, times)
    first = np.repeat(np.cumsum(sizes) - sizes, times)
    chunks = np.repeat(np.arange(len(of_chunk)), of_chunk)
    # Within a chunk, the message's number goes up with the delivery's.
    return np.arange(len(chunks)) + np.repeat(first - np.cumsum(of_chunk) + of_chunk, of_chunk), chunks
