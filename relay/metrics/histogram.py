"""How often something took how long, in plain numbers."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final, Self

from relay.metrics.additive import Additive

BOUNDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the buckets in seconds: from a Redis on the same machine to an outage that was waited out."""


@dataclass(slots=True)
class Histogram(Additive):
    """Durations, counted by bucket.

    Args:
        counts: durations in each bucket, its upper bound included; last, those above all bounds. Not cumulative.
        seconds: sum of all durations.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0

    @property
    def count(self) -> int:
        """How many durations were observed."""
        return sum(self.counts)

    def observe(self, seconds: float, times: int = 1) -> None:
        """Count a duration. Costs about a third of a microsecond: once for a batch, not for each message."""
        self.counts[bisect_left(BOUNDS, seconds)] += times
        self.seconds += seconds * times

    def add(self, other: Self) -> None:
        """Add the durations of another process."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.seconds += other.seconds
