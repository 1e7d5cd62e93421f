"""Records the latency of every delivery, second by second; none is sampled.

Latencies are counted in batches: a chunk with all its arrival times at once.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from relay.loadtest.generator.chunk import DecodedChunk
from relay.loadtest.result.time_histogram import BucketCounts, TimeHistogram, Times


class SecondHistograms:
    """Latencies of the messages that were due in one second: from their due time, and from their send time."""

    __slots__ = ("due", "sent")

    def __init__(self) -> None:
        self.due = TimeHistogram()
        self.sent = TimeHistogram()


class LatencyRecorder:
    """Counts the latencies of chunks.

    Args:
        epoch: ns of the monotonic clock at the run's start.

    Attributes:
        delivered: deliveries so far.
    """

    def __init__(self, epoch: int) -> None:
        self._epoch = epoch
        self._seconds: dict[int, SecondHistograms] = {}
        self.delivered = 0

    def record(self, chunks: Iterable[DecodedChunk]) -> int:
        """Count the latencies of all deliveries in the chunks; return the number of deliveries."""
        arrivals: list[int] = []
        dues: list[int] = []
        lags: list[int] = []
        times, sizes = [], []
        for chunk in chunks:
            if chunk.dues and chunk.times:
                arrivals += chunk.times
                dues += chunk.dues
                lags += chunk.lags
                times.append(len(chunk.times))
                sizes.append(len(chunk.dues))
        if not times:
            return 0
        message, arrival = _pairs(np.array(times), np.array(sizes))
        due = np.array(dues, dtype=np.int64)
        late = (np.array(arrivals, dtype=np.int64)[arrival] - self._epoch - due[message]) // 1000
        self._count(due // 1_000_000_000, message, late, late - np.array(lags, dtype=np.int64)[message])
        self.delivered += len(late)
        return len(late)

    def take(self) -> list[tuple[int, BucketCounts, BucketCounts]]:
        """Return and forget the counts: second since the start, latencies from the due time and from the send time."""
        taken = [(second, counts.due.take(), counts.sent.take()) for second, counts in self._seconds.items()]
        self._seconds.clear()
        return taken

    def _count(self, seconds: Times, message: Times, late: Times, late_sent: Times) -> None:
        """Count deliveries by the second in which their messages were due.

        Args:
            seconds: due second of each message.
            message: for each delivery, the index of its message.
            late: latency of each delivery from the due time, µs.
            late_sent: latency of each delivery from the send time, µs.
        """
        known = set(seconds.tolist())
        for second in known:
            counts = self._seconds.setdefault(second, SecondHistograms())
            chosen = (seconds == second)[message] if len(known) > 1 else slice(None)
            counts.due.add(late[chosen])
            counts.sent.add(late_sent[chosen])


def _pairs(times: Times, sizes: Times) -> tuple[Times, Times]:
    """Return for each delivery the index of its message, and the index of its arrival.

    Args:
        times: number of arrivals of each chunk.
        sizes: number of messages in each chunk.
    """
    of_arrival = np.repeat(sizes, times)
    first = np.repeat(np.cumsum(sizes) - sizes, times)
    arrivals = np.repeat(np.arange(len(of_arrival)), of_arrival)
    # Within an arrival, the index of the message goes up with that of the delivery.
    return np.arange(len(arrivals)) + np.repeat(first - np.cumsum(of_arrival) + of_arrival, of_arrival), arrivals
