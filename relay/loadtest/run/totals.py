"""The totals of a run: the reports of all workers added up, for the live screen and for the result."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

from relay.loadtest.generator.commands import Progress
from relay.loadtest.result.faults import Faults, Incident
from relay.loadtest.result.result import Phase, Second
from relay.loadtest.result.time_histogram import TimeHistogram, longest, seconds_at
from relay.loadtest.run.measured_step import MeasuredStep

MAX_INCIDENTS: Final = 10
_KEPT_SECONDS: Final = 60
"""After this time the histogram of a single second is reduced to percentiles. A message that comes later still counts
in the histograms of its step."""


class RunTotals:
    """The totals so far.

    Args:
        workers: number of workers.

    Attributes:
        steps: the measured steps; each message counts in the step in which it was due.
        delivered: second → deliveries that arrived in it.
        sent: second → messages that were sent in it.
        on_time: second → messages due in it that were sent on time.
        handshake: time from the beginning of a connection until it was subscribed.
        storm: the same for the reconnections of a storm alone.
        lag: lateness of the workers' event loops since the last `reset_lag`.
        send_lag: lateness of messages when they were sent, since the last `reset_lag`.
    """

    def __init__(self, workers: int) -> None:
        self._latest: list[Progress | None] = [None] * workers
        self.steps: list[MeasuredStep] = []
        self.delivered: Counter[int] = Counter()
        self.sent: Counter[int] = Counter()
        self.on_time: Counter[int] = Counter()
        self.handshake = TimeHistogram()
        self.storm = TimeHistogram()
        self.lag = TimeHistogram()
        self.send_lag = TimeHistogram()
        self._lag_from = 0
        self._connected: dict[int, int] = {}
        self._seconds: dict[int, TimeHistogram] = {}
        self._percentiles: dict[int, tuple[float, float, float, float]] = {}

    def add(self, worker: int, progress: Progress) -> None:
        """Add a worker's report."""
        self._latest[worker] = progress
        self.delivered.update(progress.delivered_by_second)
        self.sent.update(progress.sent_by_second)
        self.on_time.update(progress.on_time_by_second)
        self.handshake.merge(progress.handshakes)
        self.storm.merge(progress.storm)
        if progress.moment >= self._lag_from:
            self.lag.merge(progress.lag)
            self.send_lag.merge(progress.send_lag)
        for second, due, sent in progress.latencies:
            if second not in self._percentiles:
                if second not in self._seconds:
                    self._seconds[second] = TimeHistogram()
                self._seconds[second].merge(due)
            for step in self.steps:
                if step.first <= second < step.end:
                    step.due.merge(due)
                    step.sent.merge(sent)
        now = progress.moment // 1_000_000_000
        self._connected[now] = self.connected
        for second in [second for second in self._seconds if second < now - _KEPT_SECONDS]:
            self._percentiles[second] = _percentiles(self._seconds.pop(second))

    def reset_lag(self, moment: float) -> None:
        """Discard all lag before a moment, in seconds since the run's start."""
        self._lag_from = int(moment * 1e9)
        self.lag = TimeHistogram()
        self.send_lag = TimeHistogram()

    @property
    def latest_reports(self) -> list[Progress]:
        """The latest report of each worker that has reported."""
        return [progress for progress in self._latest if progress is not None]

    def reported_since(self, moment: int) -> bool:
        """Return whether all workers have reported since a moment, ns since the run's start."""
        return all(progress is not None and progress.moment >= moment for progress in self._latest)

    @property
    def deliveries(self) -> int:
        """Deliveries so far."""
        return sum(progress.delivered for progress in self.latest_reports)

    @property
    def connected(self) -> int:
        """Clients that are subscribed now."""
        return sum(progress.connected for progress in self.latest_reports)

    @property
    def settled(self) -> bool:
        """Whether all workers have reported, and no client of theirs is about to connect or to leave."""
        return all(progress is not None and progress.settled for progress in self._latest)

    @property
    def backlog(self) -> int:
        """Messages that are due but not sent."""
        return sum(progress.backlog for progress in self.latest_reports)

    @property
    def cpu(self) -> list[float]:
        """CPU seconds that each worker has used."""
        return [progress.cpu if progress else 0.0 for progress in self._latest]

    @property
    def bytes_received(self) -> int:
        """Bytes received so far."""
        return sum(progress.bytes_received for progress in self.latest_reports)

    @property
    def sessions(self) -> int:
        """Connections made so far."""
        return sum(progress.sessions for progress in self.latest_reports)

    @property
    def resumed(self) -> int:
        """Sessions so far that went on where the one before had ended."""
        return sum(progress.resumed for progress in self.latest_reports)

    @property
    def notices(self) -> int:
        """How often so far a client that came back was told that it had missed something."""
        return sum(progress.notices for progress in self.latest_reports)

    @property
    def pings(self) -> int:
        """Pings answered so far."""
        return sum(progress.pings for progress in self.latest_reports)

    @property
    def faults(self) -> Faults:
        """Faults so far; `lost` counts the messages that are missing now."""
        return merge_faults([progress.faults for progress in self.latest_reports])

    def latency(self, second: int) -> tuple[float, float, float, float] | None:
        """Return p50, p99, p99.9 and maximum in seconds for the messages due in a second; None when none were."""
        if second in self._seconds:
            return _percentiles(self._seconds[second])
        return self._percentiles.get(second)

    def moments(self, phases: list[tuple[int, Phase]], offered: Counter[int], end: int) -> list[Second]:
        """Return every second of the run.

        Args:
            phases: first second and phase, in order.
            offered: second → messages that were due in it.
            end: the second after the last one.
        """
        seconds, connected, phase = [], 0, Phase.RAMP
        begins = dict(phases)
        for second in range(end):
            connected = self._connected.get(second, connected)
            phase = begins.get(second, phase)
            p50, p99, p99_9, worst = self.latency(second) or (None, None, None, None)
            seconds.append(
                Second(
                    second=second,
                    phase=phase,
                    connected=connected,
                    offered=offered[second],
                    sent=self.sent[second],
                    delivered=self.delivered[second],
                    p50=p50,
                    p99=p99,
                    p99_9=p99_9,
                    max=worst,
                )
            )
        return seconds


def merge_faults(parts: list[Faults]) -> Faults:
    """Return the sum of several workers' faults, with the earliest incidents of all."""
    total = Faults()
    for part in parts:
        for name in ("lost", "duplicated", "reordered", "foreign", "unexpected", "unsent", "missed", "told"):
            setattr(total, name, getattr(total, name) + getattr(part, name))
        for name in ("closed", "returned", "refused", "slow_closed"):
            counts: dict[str, int] = defaultdict(int, getattr(total, name))
            for reason, count in getattr(part, name).items():
                counts[reason] += count
            setattr(total, name, dict(counts))
    incidents: list[Incident] = [incident for part in parts for incident in part.incidents]
    total.incidents = sorted(incidents, key=lambda incident: incident.moment)[:MAX_INCIDENTS]
    return total


def _percentiles(times: TimeHistogram) -> tuple[float, float, float, float]:
    histogram = times.to_hdr()
    p50, p99, p99_9 = (seconds_at(histogram, percentile) for percentile in (50.0, 99.0, 99.9))
    return p50, p99, p99_9, longest(histogram)
