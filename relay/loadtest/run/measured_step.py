"""A part of a run that is played at one rate, and what came of it."""

from __future__ import annotations

from collections import Counter

from relay.loadtest.plan.connections import deliveries_per_message
from relay.loadtest.plan.plan import Plan
from relay.loadtest.plan.schedule import Timetable
from relay.loadtest.result.histogram import percentiles
from relay.loadtest.result.result import Step
from relay.loadtest.result.time_histogram import Buckets


class Part:
    """A measured part: the only one of a run, or a step of a sweep.

    Args:
        plan: of the run.
        begin: second of the run in which it begins.
        lead: seconds at its beginning whose messages don't count.
        rate: messages/s.
        seconds: whose messages count.

    Attributes:
        table: when messages are due, those of the lead included.
        first: first second that counts.
        end: second after the last one that does.
        due: times from when messages were due.
        sent: times from when messages were sent.
        broken: why it was too much; empty: it was kept.
    """

    def __init__(self, plan: Plan, begin: int, lead: int, rate: float, seconds: int) -> None:
        self.table = Timetable(begin, rate, lead + seconds, plan.publishers)
        self.first = begin + lead
        self.end = self.first + seconds
        self.due = Buckets()
        self.sent = Buckets()
        self.broken = ""
        self._plan = plan

    def cut_short(self, moment: float) -> None:
        """Forget what would have been due from a moment on, in seconds since the run's start."""
        self.table = self.table.until(moment)
        self.end = max(self.first, min(self.end, int(moment) + 1))

    @property
    def offered(self) -> int:
        """Messages due in the seconds that count."""
        return self.table.before(self.end) - self.table.before(self.first)

    @property
    def expected(self) -> int:
        """Deliveries that they lead to if every connection is there all the time."""
        return sum(
            self.table.of(publisher, self.first, self.end) * deliveries_per_message(self._plan, publisher)
            for publisher in range(self._plan.publishers)
        )

    @property
    def delivered(self) -> int:
        """Deliveries of them so far."""
        return self.due.total

    def step(self, punctual: Counter[int]) -> Step:
        """Return what came of it; punctual: second → messages due in it that were sent in time."""
        return Step(
            rate=self.table.rate,
            seconds=self.end - self.first,
            offered=self.offered,
            sent=sum(punctual[second] for second in range(self.first, self.end)),
            delivered=self.delivered,
            expected=self.expected,
            latency=percentiles(self.due.histogram()),
            latency_sent=percentiles(self.sent.histogram()),
            broken=self.broken,
        )
