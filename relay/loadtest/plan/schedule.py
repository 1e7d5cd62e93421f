"""The open-loop schedule: when each publisher must send, known before it is played."""

from __future__ import annotations

import math
from typing import NamedTuple

NANO = 1_000_000_000


class Schedule(NamedTuple):
    """Messages at even intervals, taken by the publishers in turn: publisher p sends the messages p, p + n, p + 2n …

    Args:
        begin: second of the run at whose beginning the first message is due.
        rate: messages/s of all publishers together.
        seconds: length of the schedule.
        publishers: number of publishers, n.
    """

    begin: int
    rate: float
    seconds: float
    publishers: int

    @property
    def messages(self) -> int:
        """Number of messages that are due before the last second is over."""
        return math.ceil(round(self.rate * self.seconds, 6)) if self.publishers else 0

    def until(self, moment: float) -> Schedule:
        """Return the part of the schedule that is due before a moment, in seconds since the run's start."""
        return self._replace(seconds=max(0.0, min(self.seconds, moment - self.begin)))

    def due(self, message: int) -> int:
        """Return when a message is due, in ns since the run's start."""
        return self.begin * NANO + round(message * NANO / self.rate)

    def before(self, second: int) -> int:
        """Return how many messages are due before a second of the run."""
        return min(self.messages, max(0, math.ceil(round((second - self.begin) * self.rate, 6))))

    def of(self, publisher: int, first: int, last: int) -> int:
        """Return how many messages of a publisher are due from second `first` up to, and without, second `last`."""
        return len(range(self._next(publisher, self.before(first)), self.before(last), self.publishers))

    def _next(self, publisher: int, message: int) -> int:
        """Return a publisher's first message whose number is at least `message`."""
        return message + (publisher - message) % self.publishers
