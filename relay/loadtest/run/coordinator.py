"""The course of a run: ramp, settle, warm-up, measure, drain, close."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from relay.loadtest.generator.connector import Destination
from relay.loadtest.generator.messages import (
    Arrived,
    Assignment,
    Await,
    Begin,
    Count,
    Judge,
    Judged,
    Play,
    Progress,
    Ramp,
    Rest,
    Sent,
)
from relay.loadtest.plan.plan import Act, Plan
from relay.loadtest.plan.schedule import NANO, Timetable
from relay.loadtest.result.faults import Faults
from relay.loadtest.result.result import Phase
from relay.loadtest.run.measured_step import Part
from relay.loadtest.run.sweep import Sweep
from relay.loadtest.run.totals import Tally, merge_faults
from relay.loadtest.run.worker_pool import Pool
from relay.loadtest.target.observer import Mark, Observer

ROLL_CALL: Final = 3
"""Messages of each publisher after a run without any: they prove that all connections are alive."""

CUT_SECONDS: Final = 0.2
"""Time for the workers to hear that a run ends early: until then they go on."""

LOOK_SECONDS: Final = 0.1
REPORT_SECONDS: Final = 0.5
WATCH_SECONDS: Final = 1.0


class Standing(NamedTuple):
    """Where the workers stood at a moment.

    Args:
        moment: seconds since the run's start.
        cpu: seconds of CPU time that each had used.
        delivered: deliveries so far.
        bytes_received: so far.
    """

    moment: float
    cpu: list[float]
    delivered: int
    bytes_received: int


class Coordinator:
    """One run.

    Args:
        plan: of the run.
        run: its number.
        destinations: of the plan's URLs, in their order.
        observer: of the server's processes.
        show: called whenever there is something new to show.

    Attributes:
        phase: of the run, now.
        phases: second in which each phase so far began.
        tally: what is known so far.
        parts: those that are measured.
        standings: of the workers at the beginning and the end of the measured time.
        faults: final once `run` has returned.
        storms: of each worker's storm its moment, and ns until all were back (-1: not all are).
        ramp_seconds: length of the ramp.
        interrupted: whether it was ended early.
    """

    def __init__(
        self,
        plan: Plan,
        run: int,
        destinations: list[Destination],
        observer: Observer,
        show: Callable[[Coordinator], None],
    ) -> None:
        self.plan = plan
        self.phase = Phase.RAMP
        self.phases: list[tuple[int, Phase]] = []
        self.tally = Tally(plan.workers)
        self.parts: list[Part] = []
        self.standings: list[Standing] = []
        self.faults = Faults()
        self.storms: list[tuple[int, int]] = []
        self.ramp_seconds = 0.0
        self.interrupted = False
        self._run = run
        self._destinations = destinations
        self._observer = observer
        self._show = show
        self._tables: list[Timetable] = []
        self._epoch = time.monotonic_ns()
        self._pool = Pool(
            [Assignment(plan, run, worker, destinations) for worker in range(plan.workers)], self._take_progress
        )

    @property
    def elapsed(self) -> float:
        """Seconds since the run's start."""
        return (time.monotonic_ns() - self._epoch) / NANO

    @property
    def wanted(self) -> int:
        """Connections of the run."""
        return self.plan.clients + self.plan.publishers

    @property
    def offered(self) -> Counter[int]:
        """Second → messages that are due in it."""
        offered: Counter[int] = Counter()
        for table in [*(part.table for part in self.parts), *self._tables]:
            for second in range(table.begin, table.begin + int(table.seconds) + 1):
                offered[second] += table.before(second + 1) - table.before(second)
        return offered

    def stop(self) -> None:
        """End the run early; what was sent until then is checked all the same."""
        self.interrupted = True

    async def run(self) -> None:
        """Do it all.

        Raises:
            WorkerError: the load test itself failed.
        """
        async with self._pool:
            watch = asyncio.create_task(self._watch())
            try:
                await self._ramp()
                if self.tally.connected:
                    await (self._sweep() if self.plan.sweep else self._measure())
                await self._drain()
            finally:
                watch.cancel()
                with suppress(asyncio.CancelledError):
                    await watch

    def play(self, part: Part) -> None:
        """Begin a part of the run."""
        self.parts.append(part)
        self.tally.parts.append(part)
        self._pool.tell(Play(part.table))

    async def pause(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Wait for some seconds, or until something holds, or until the run is to end early."""
        await self._wait(seconds, lambda: self.interrupted or until())

    async def _wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        end = time.monotonic() + seconds
        while not until() and (left := end - time.monotonic()) > 0:
            await self._pool.sleep(min(LOOK_SECONDS, left))

    def _cut_short(self) -> int:
        """End the schedule early, at a moment that no worker has reached yet; return it, ns since the run's start."""
        moment = self.elapsed + CUT_SECONDS
        if self.parts:
            self.parts[-1].cut_short(moment)
        self._tables = [table.until(moment) for table in self._tables]
        return int(moment * NANO)

    def _take_progress(self, worker: int, progress: Progress) -> None:
        self.tally.add(worker, progress)
        self._show(self)

    async def _watch(self) -> None:
        """Look at the server's processes once a second."""
        while True:
            self._observer.look(self.elapsed, self.tally.connected)
            await asyncio.sleep(WATCH_SECONDS)

    def _enter(self, phase: Phase) -> None:
        self.phase = phase
        self.phases.append((round(self.elapsed), phase))
        self._show(self)

    async def _mark(self, mark: Mark) -> None:
        await self._observer.mark(mark, self.elapsed, self.tally.connected)
        if mark in (Mark.MEASURE_BEGINS, Mark.MEASURE_ENDS):
            tally = self.tally
            # As of their latest reports: CPU time and deliveries have to be of the same moment.
            moment = max((progress.moment for progress in tally.known), default=0) / NANO
            self.standings.append(Standing(moment, tally.cpu, tally.count, tally.bytes_received))

    async def _ramp(self) -> None:
        plan = self.plan
        self._epoch = time.monotonic_ns()
        self._enter(Phase.RAMP)
        await self._mark(Mark.BEFORE)
        self._pool.tell(Ramp(self._epoch))
        # A server that is slower than the connect rate gets its time as long as it gets on.
        longest = self.wanted / plan.connect_rate + plan.connect_timeout + 2 * REPORT_SECONDS
        before = -1
        while not self.interrupted and not self.tally.settled and before < self._answered():
            before = self._answered()
            await self.pause(longest, lambda: self.tally.settled)
        self.ramp_seconds = max((progress.ramped for progress in self.tally.known), default=0) / NANO
        self._enter(Phase.SETTLE)
        await self.pause(plan.settle)
        await self._mark(Mark.SETTLED)

    def _answered(self) -> int:
        # Not the sessions: with clients that come back again and again they never stop growing.
        return self.tally.connected + sum(self.tally.faults.refused.values())

    async def _measure(self) -> None:
        """Play warm-up and measured time in one piece, without a seam between them."""
        plan = self.plan
        begin = int(self.elapsed) + 1
        part = Part(plan, begin, plan.warm_up, plan.rate, plan.duration)
        if plan.rate and not self.interrupted:
            self.play(part)
        await self.pause(begin - self.elapsed)
        if plan.warm_up:
            self._enter(Phase.WARM_UP)
            await self.pause(part.first - self.elapsed)
        self._enter(Phase.MEASURE)
        await self._mark(Mark.MEASURE_BEGINS)
        self.tally.forget_lag(self.elapsed)
        if not self.interrupted:
            self._pool.tell(Begin())
        await self.pause(part.end - self.elapsed)
        await self._mark(Mark.MEASURE_ENDS)

    async def _sweep(self) -> None:
        plan = self.plan
        if plan.warm_up and not self.interrupted:
            begin = int(self.elapsed) + 1
            table = Timetable(begin, plan.rate, plan.warm_up, plan.publishers)
            self._tables.append(table)
            self._pool.tell(Play(table))
            await self.pause(begin - self.elapsed)
            self._enter(Phase.WARM_UP)
            await self.pause(begin + plan.warm_up - self.elapsed)
        self._enter(Phase.MEASURE)
        await self._mark(Mark.MEASURE_BEGINS)
        self.tally.forget_lag(self.elapsed)
        if not self.interrupted:
            self._pool.tell(Begin())
            await Sweep(self).run()
        await self._mark(Mark.MEASURE_ENDS)

    async def _drain(self) -> None:
        """Wait for stragglers, then let the workers judge what never came."""
        plan = self.plan
        self._enter(Phase.DRAIN)
        end = time.monotonic() + plan.drain
        over = self._cut_short() if self.interrupted else time.monotonic_ns() - self._epoch
        self._pool.tell(Rest(over))
        if not plan.rate and not self.interrupted:
            table = Timetable(int(self.elapsed) + 1, ROLL_CALL * max(1, plan.publishers), 1.0, plan.publishers)
            self._tables.append(table)
            self._pool.tell(Play(table))
            await self._wait(table.begin + 1 - self.elapsed)
        # What was due in an interrupted run is so until a moment that hasn't come yet.
        rested = max(over, time.monotonic_ns() - self._epoch)
        await self._wait(end - time.monotonic(), lambda: self.tally.since(rested) and not self.tally.owed)
        sent = await self._pool.ask(Count(), Sent)
        records = {number: record for report in sent for number, record in report.records.items()}
        counts = {number: len(record) for number, record in records.items()}
        last = {number: record[-1] for number, record in records.items() if record}
        await self._pool.ask(Await(counts, last, max(1.0, end - time.monotonic())), Arrived)
        returns = plan.reconnect or plan.act in (Act.STORM, Act.CHURN)
        judged = await self._pool.ask(Judge(counts, records if returns else {}), Judged)
        self.faults = merge_faults([report.faults for report in judged])
        self.faults.unsent = sum(report.unsent for report in sent)
        self.storms = [report.storm for report in judged if report.storm is not None]
        self._enter(Phase.CLOSE)
