"""A rate with a burst, kept as one number for each client or address (the generic cell rate algorithm).

The number is the time at which all events so far would have come at the even rate. It is ahead of the clock by what was
taken of the burst; no timer refills anything. A number that the clock has passed says as much as none.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ROUNDING_SECONDS: Final = 1e-6
"""By which a sum of times may be wrong: without it a burst of 1 would never be let through."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many events may come.

    Args:
        per_second: for ever.
        burst: at once, after a quiet time; at least 1.
    """

    per_second: float
    burst: int

    def count(self, due: float, now: float, events: float) -> float | None:
        """Count events.

        Args:
            due: what the last call returned; 0 at first.
            now: seconds, of a clock that never goes back.
            events: how many.

        Returns:
            The new number; None when they are more than the rate and the burst allow.
        """
        due = self.add(due, now, events)
        return due if due - now <= self.burst / self.per_second + ROUNDING_SECONDS else None

    def add(self, due: float, now: float, events: float) -> float:
        """Count events, however many they are; arguments as for `count`. What is too much is taken from later ones."""
        return max(due, now) + events / self.per_second

    def left(self, due: float, now: float) -> float:
        """Return how many events may come now; below 0 when too many have come. Arguments as for `count`."""
        return self.burst - max(0.0, due - now) * self.per_second

    def wait(self, due: float, now: float) -> float:
        """Return the seconds until one more event may come; 0: it may now. Arguments as for `count`."""
        wait = due - now - (self.burst - 1) / self.per_second
        return wait if wait > ROUNDING_SECONDS else 0.0
