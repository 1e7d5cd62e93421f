"""The reports of all workers, merged: what the screen shows while a run goes on, and what its result is made of."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Final

from relay.loadtest.generator.messages import Progress
from relay.loadtest.result.faults import Faults, Incident
from relay.loadtest.result.histogram import longest, seconds_at
from relay.loadtest.result.result import Moment, Phase
from relay.loadtest.result.time_histogram import Buckets
from relay.loadtest.run.measured_step import Part

MAX_INCIDENTS: Final = 10
_KEPT_SECONDS: Final = 60
"""Histograms of single seconds are turned into percentiles after so long: a late message still counts in full in
the histograms of its step."""


class Tally:
    """What is known of a run so far.

    Args:
        workers: how many report.

    Attributes:
        parts: those that count; a message counts in the one that it was due in.
        delivered: second → deliveries that arrived in it.
        sent: second → messages that were sent in it.
        punctual: second → messages due in it that were sent in time.
        handshake: from the beginning of a connection to its being subscribed.
        storm: the same of a storm's connections alone.
        lag: lateness of the workers' event loops, since the last `forget_lag`.
        send_lag: by how much messages were sent later than due, since then.
    """

    def __init__(self, workers: int) -> None:
        self._latest: list[Progress | None] = [None] * workers
        self.parts: list[Part] = []
        self.delivered: Counter[int] = Counter()
        self.sent: Counter[int] = Counter()
        self.punctual: Counter[int] = Counter()
        self.handshake = Buckets()
        self.storm = Buckets()
        self.lag = Buckets()
        self.send_lag = Buckets()
        self._lag_from = 0
        self._connected: dict[int, int] = {}
        self._seconds: dict[int, Buckets] = {}
        self._figures: dict[int, tuple[float, float, float, float]] = {}

    def add(self, worker: int, progress: Progress) -> None:
        """Take a report."""
        self._latest[worker] = progress
        self.delivered.update(progress.delivered_by_second)
        self.sent.update(progress.sent_by_second)
        self.punctual.update(progress.punctual_by_second)
        self.handshake.pour(progress.handshakes)
        self.storm.pour(progress.storm)
        if progress.moment >= self._lag_from:
            self.lag.pour(progress.lag)
            self.send_lag.pour(progress.send_lag)
        for second, due, sent in progress.latencies:
            if second not in self._figures:
                if second not in self._seconds:
                    self._seconds[second] = Buckets()
                self._seconds[second].pour(due)
            for part in self.parts:
                if part.first <= second < part.end:
                    part.due.pour(due)
                    part.sent.pour(sent)
        now = progress.moment // 1_000_000_000
        self._connected[now] = self.connected
        for second in [second for second in self._seconds if second < now - _KEPT_SECONDS]:
            self._figures[second] = _figures(self._seconds.pop(second))

    def forget_lag(self, moment: float) -> None:
        """Begin to measure the lag anew, at a moment in seconds since the run's start."""
        self._lag_from = int(moment * 1e9)
        self.lag = Buckets()
        self.send_lag = Buckets()

    @property
    def known(self) -> list[Progress]:
        """The latest report of each worker that has sent one."""
        return [progress for progress in self._latest if progress is not None]

    def since(self, moment: int) -> bool:
        """Return whether all workers have reported since a moment, ns since the run's start."""
        return all(progress is not None and progress.moment >= moment for progress in self._latest)

    @property
    def count(self) -> int:
        """Deliveries so far."""
        return sum(progress.delivered for progress in self.known)

    @property
    def connected(self) -> int:
        """Clients that are subscribed now."""
        return sum(progress.connected for progress in self.known)

    @property
    def settled(self) -> bool:
        """Whether all workers have reported and none is about to connect."""
        return all(progress is not None and progress.settled for progress in self._latest)

    @property
    def owed(self) -> int:
        """Messages that are due but not sent."""
        return sum(progress.owed for progress in self.known)

    @property
    def cpu(self) -> list[float]:
        """Seconds of CPU time that each worker has used."""
        return [progress.cpu if progress else 0.0 for progress in self._latest]

    @property
    def bytes_received(self) -> int:
        """Bytes that came so far."""
        return sum(progress.bytes_received for progress in self.known)

    @property
    def sessions(self) -> int:
        """Connections made so far."""
        return sum(progress.sessions for progress in self.known)

    @property
    def pings(self) -> int:
        """Pings answered so far."""
        return sum(progress.pings for progress in self.known)

    @property
    def faults(self) -> Faults:
        """Faults so far; `lost` are the messages that are missing now."""
        return merge_faults([progress.faults for progress in self.known])

    def latency(self, second: int) -> tuple[float, float, float, float] | None:
        """Return p50, p99, p99.9 and maximum in seconds of the messages that were due in a second; None: none were."""
        if second in self._seconds:
            return _figures(self._seconds[second])
        return self._figures.get(second)

    def moments(self, phases: list[tuple[int, Phase]], offered: Counter[int], end: int) -> list[Moment]:
        """Return all seconds of the run.

        Args:
            phases: first second and phase, in order.
            offered: second → messages that were due in it.
            end: second after the last one.
        """
        moments, connected, phase = [], 0, Phase.RAMP
        begins = dict(phases)
        for second in range(end):
            connected = self._connected.get(second, connected)
            phase = begins.get(second, phase)
            p50, p99, p99_9, worst = self.latency(second) or (None, None, None, None)
            moments.append(
                Moment(
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
        return moments


def merge_faults(parts: list[Faults]) -> Faults:
    """Return the sum of several workers' faults, with the earliest incidents."""
    total = Faults()
    for part in parts:
        for name in ("lost", "duplicated", "reordered", "foreign", "unexpected", "unsent", "missed"):
            setattr(total, name, getattr(total, name) + getattr(part, name))
        for name in ("closed", "returned", "refused", "slow_closed"):
            counts: dict[str, int] = defaultdict(int, getattr(total, name))
            for reason, count in getattr(part, name).items():
                counts[reason] += count
            setattr(total, name, dict(counts))
    incidents: list[Incident] = [incident for part in parts for incident in part.incidents]
    total.incidents = sorted(incidents, key=lambda incident: incident.moment)[:MAX_INCIDENTS]
    return total


def _figures(times: Buckets) -> tuple[float, float, float, float]:
    histogram = times.histogram()
    p50, p99, p99_9 = (seconds_at(histogram, percentile) for percentile in (50.0, 99.0, 99.9))
    return p50, p99, p99_9, longest(histogram)
