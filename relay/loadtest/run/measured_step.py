"""A measured step: the measure phase of a run, or one step of a sweep, played at one rate."""

from __future__ import annotations

from collections import Counter

from relay.loadtest.plan.connections import deliveries_per_message
from relay.loadtest.plan.plan import Plan
from relay.loadtest.plan.schedule import Schedule
from relay.loadtest.result.result import Step
from relay.loadtest.result.time_histogram import TimeHistogram, percentiles


class MeasuredStep:
    """A step while it is played; `to_result` returns what it showed.

    Args:
        plan: plan of the run.
        begin: second of the run in which it begins.
        lead: seconds at its beginning whose messages don't count: the warm-up.
        rate: messages/s.
        seconds: seconds whose messages count.

    Attributes:
        schedule: when messages are due, those of the lead included.
        first: first second that counts.
        end: second after the last one that counts.
        due: latencies from the due time.
        sent: latencies from the send time.
        broken: why the rate was too much; empty: it was kept.
    """

    def __init__(self, plan: Plan, begin: int, lead: int, rate: float, seconds: int) -> None:
        self.schedule = Schedule(begin, rate, lead + seconds, plan.publishers)
        self.first = begin + lead
        self.end = self.first + seconds
        self.due = TimeHistogram()
        self.sent = TimeHistogram()
        self.broken = ""
        self._plan = plan

    def cut_short(self, moment: float) -> None:
        """End the schedule early, at a moment in seconds since the run's start."""
        self.schedule = self.schedule.until(moment)
        self.end = max(self.first, min(self.end, int(moment) + 1))

    @property
    def offered(self) -> int:
        """Messages due in the seconds that count."""
        return self.schedule.before(self.end) - self.schedule.before(self.first)

    @property
    def expected(self) -> int:
        """Deliveries of the offered messages if every connection is there all the time."""
        return sum(
            self.schedule.of(publisher, self.first, self.end) * deliveries_per_message(self._plan, publisher)
            for publisher in range(self._plan.publishers)
        )

    @property
    def delivered(self) -> int:
        """Deliveries of the offered messages so far."""
        return self.due.total

    def to_result(self, on_time: Counter[int]) -> Step:
        """Return the step's result.

        Args:
            on_time: second → messages due in it that were sent on time.
        """
        return Step(
            rate=self.schedule.rate,
            seconds=self.end - self.first,
            offered=self.offered,
            sent=sum(on_time[second] for second in range(self.first, self.end)),
            delivered=self.delivered,
            expected=self.expected,
            latency=percentiles(self.due.to_hdr()),
            latency_sent=percentiles(self.sent.to_hdr()),
            broken=self.broken,
        )
