"""The state of a run: clock, phase, totals and measured steps.

The coordinator changes it; the live screen and the result builder read it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Final, NamedTuple

from relay.loadtest.plan.plan import Plan
from relay.loadtest.plan.schedule import NANO, Schedule
from relay.loadtest.result.faults import Faults
from relay.loadtest.result.result import Phase
from relay.loadtest.run.measured_step import MeasuredStep
from relay.loadtest.run.totals import RunTotals

CUT_SECONDS: Final = 0.2
"""Time for the workers to learn that a run ends early: until then they keep to the schedule."""


class GeneratorSample(NamedTuple):
    """The generator's totals at one moment.

    Args:
        moment: seconds since the run's start.
        cpu: CPU seconds that each worker had used.
        delivered: deliveries so far.
        bytes_received: bytes received so far.
    """

    moment: float
    cpu: list[float]
    delivered: int
    bytes_received: int


class RunState:
    """The state of one run.

    Args:
        plan: plan of the run.
        clock: returns ns of the monotonic clock.

    Attributes:
        epoch: ns of the clock at the run's start.
        phase: current phase.
        phases: second in which each phase so far began.
        totals: the workers' reports, added up.
        schedules: schedules that are not measured: the warm-up of a sweep, and the roll call.
        samples: the generator's totals at the beginning and at the end of the measured time.
        faults: final faults, once the run is over.
        storms: for each worker the moment of its storm, and ns until all clients were back (-1: not all are).
        ramp_seconds: length of the ramp.
        interrupted: whether the run is ended early.
    """

    def __init__(self, plan: Plan, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self.plan = plan
        self.epoch = clock()
        self.phase = Phase.RAMP
        self.phases: list[tuple[int, Phase]] = []
        self.totals = RunTotals(plan.workers)
        self.schedules: list[Schedule] = []
        self.samples: list[GeneratorSample] = []
        self.faults = Faults()
        self.storms: list[tuple[int, int]] = []
        self.ramp_seconds = 0.0
        self.interrupted = False
        self._clock = clock

    @property
    def now(self) -> int:
        """Ns since the run's start."""
        return self._clock() - self.epoch

    @property
    def elapsed(self) -> float:
        """Seconds since the run's start."""
        return self.now / NANO

    @property
    def left(self) -> float | None:
        """Seconds until the last message is due, as planned; None: it isn't known how many steps a sweep will take."""
        if self.plan.sweep and self.phase is Phase.MEASURE:
            return None
        planned = {
            Phase.RAMP: self.wanted / self.plan.connect_rate,
            Phase.SETTLE: self.plan.settle,
            Phase.WARM_UP: self.plan.warm_up,
            Phase.MEASURE: self.plan.duration,
        }
        began = self.phases[-1][0] if self.phases else 0.0
        phases = list(Phase)
        later = phases[phases.index(self.phase) + 1 :]
        rest = max(0.0, planned.get(self.phase, 0.0) - (self.elapsed - began))
        return rest + sum(planned.get(phase, 0.0) for phase in later)

    @property
    def wanted(self) -> int:
        """Number of connections that the plan wants."""
        return self.plan.clients + self.plan.publishers

    @property
    def steps(self) -> list[MeasuredStep]:
        """The measured steps so far."""
        return self.totals.steps

    @property
    def offered(self) -> Counter[int]:
        """Second → messages that are due in it."""
        offered: Counter[int] = Counter()
        for schedule in [*(step.schedule for step in self.steps), *self.schedules]:
            for second in range(schedule.begin, schedule.begin + int(schedule.seconds) + 1):
                offered[second] += schedule.before(second + 1) - schedule.before(second)
        return offered

    def start(self) -> None:
        """Set the run's start to now."""
        self.epoch = self._clock()

    def enter(self, phase: Phase) -> None:
        """Begin a phase."""
        self.phase = phase
        self.phases.append((round(self.elapsed), phase))

    def sample_generator(self) -> None:
        """Take a sample of the generator's totals."""
        totals = self.totals
        # As of the latest reports: CPU time and deliveries have to be of the same moment.
        moment = max((progress.moment for progress in totals.latest_reports), default=0) / NANO
        self.samples.append(GeneratorSample(moment, totals.cpu, totals.deliveries, totals.bytes_received))

    def cut_short(self) -> int:
        """End all schedules early, at a moment that no worker has reached yet; return it, ns since the run's start."""
        moment = self.elapsed + CUT_SECONDS
        if self.steps:
            self.steps[-1].cut_short(moment)
        self.schedules = [schedule.until(moment) for schedule in self.schedules]
        return int(moment * NANO)
