"""When which publisher has to send: the open-loop schedule, known before it is played."""

from __future__ import annotations

import math
from typing import NamedTuple

NANO = 1_000_000_000


class Timetable(NamedTuple):
    """Messages at even distances, dealt out to the publishers in turn: message m is of publisher m modulo their number.

    Args:
        begin: second of the run in which the first one is due, at its beginning.
        rate: messages/s of all publishers together.
        seconds: for how long.
        publishers: how many.
    """

    begin: int
    rate: float
    seconds: float
    publishers: int

    @property
    def messages(self) -> int:
        """How many messages there are: all that are due before the last second is over."""
        return math.ceil(round(self.rate * self.seconds, 6)) if self.publishers else 0

    def until(self, moment: float) -> Timetable:
        """Return what is due before a moment in seconds since the run's start."""
        return self._replace(seconds=max(0.0, min(self.seconds, moment - self.begin)))

    def due(self, message: int) -> int:
        """Return when a message is due, ns since the run's start."""
        return self.begin * NANO + round(message * NANO / self.rate)

    def before(self, second: int) -> int:
        """Return how many messages are due before a second of the run."""
        return min(self.messages, max(0, math.ceil(round((second - self.begin) * self.rate, 6))))

    def of(self, publisher: int, first: int, last: int) -> int:
        """Return how many of the messages due from one second up to another, it excluded, are a publisher's."""
        return len(range(self._next(publisher, self.before(first)), self.before(last), self.publishers))

    def _next(self, publisher: int, message: int) -> int:
        """Return a publisher's first message from some message on."""
        return message + (publisher - message) % self.publishers
