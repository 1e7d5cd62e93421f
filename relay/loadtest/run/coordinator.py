"""The coordinator: leads the workers through the phases of a run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from relay.loadtest.generator.commands import (
    Assignment,
    AwaitDeliveries,
    AwaitEnded,
    CountSent,
    FinalFaults,
    FindLost,
    PlaySchedule,
    Progress,
    SentMessages,
    StartMeasure,
    StartRamp,
    StopLoad,
)
from relay.loadtest.plan.plan import Act, Plan
from relay.loadtest.plan.schedule import NANO, Schedule
from relay.loadtest.plan.server_address import ServerAddress
from relay.loadtest.result.result import Phase
from relay.loadtest.run.measured_step import MeasuredStep
from relay.loadtest.run.run_state import RunState
from relay.loadtest.run.sweep import Sweep
from relay.loadtest.run.totals import merge_faults
from relay.loadtest.run.worker_pool import WorkerPool
from relay.loadtest.target.observer import Checkpoint, Observer

ROLL_CALL: Final = 3
"""Messages of each publisher after a run without any: they prove that all connections are alive."""

POLL_SECONDS: Final = 0.1
REPORT_SECONDS: Final = 0.5
SAMPLE_SECONDS: Final = 1.0


class Coordinator:
    """Leads one run: ramp, settle, warm-up, measure, drain, close.

    Args:
        plan: plan of the run.
        run: number of the run.
        addresses: addresses of the plan's URLs, in their order.
        observer: observer of the servers.
        show: called with the run's state whenever it has changed.

    Attributes:
        state: state of the run; final once `run` has returned.
    """

    def __init__(
        self,
        plan: Plan,
        run: int,
        addresses: list[ServerAddress],
        observer: Observer,
        show: Callable[[RunState], None],
    ) -> None:
        self.plan = plan
        self.state = RunState(plan)
        self._observer = observer
        self._show = show
        self._pool = WorkerPool(
            [Assignment(plan, run, worker, addresses) for worker in range(plan.workers)], self._take_progress
        )

    def stop(self) -> None:
        """End the run early; the messages sent until then are checked all the same."""
        self.state.interrupted = True

    async def run(self) -> None:
        """Run all phases.

        Raises:
            LoadWorkerError: the load test itself failed.
        """
        async with self._pool:
            sampling = asyncio.create_task(self._sample_servers())
            try:
                await self._ramp()
                if self.state.totals.connected:
                    await (self._sweep() if self.plan.sweep else self._measure())
                await self._drain()
            finally:
                sampling.cancel()
                with suppress(asyncio.CancelledError):
                    await sampling

    def _play(self, step: MeasuredStep) -> None:
        self.state.steps.append(step)
        self._pool.tell(PlaySchedule(step.schedule))

    def _play_unmeasured(self, schedule: Schedule) -> None:
        self.state.schedules.append(schedule)
        self._pool.tell(PlaySchedule(schedule))

    async def _pause(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Wait for some seconds, or until a condition holds, or until the run is ended early."""
        await self._wait(seconds, lambda: self.state.interrupted or until())

    async def _wait(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Wait for some seconds, or until a condition holds, whether or not the run is ended early."""
        end = time.monotonic() + seconds
        while not until() and (left := end - time.monotonic()) > 0:
            await self._pool.sleep(min(POLL_SECONDS, left))

    def _take_progress(self, worker: int, progress: Progress) -> None:
        self.state.totals.add(worker, progress)
        self._show(self.state)

    async def _sample_servers(self) -> None:
        while True:
            self._observer.sample(self.state.elapsed, self.state.totals.connected)
            await asyncio.sleep(SAMPLE_SECONDS)

    def _enter(self, phase: Phase) -> None:
        self.state.enter(phase)
        self._show(self.state)

    async def _checkpoint(self, checkpoint: Checkpoint) -> None:
        await self._observer.checkpoint(checkpoint, self.state.elapsed, self.state.totals.connected)
        if checkpoint in (Checkpoint.MEASURE_BEGINS, Checkpoint.MEASURE_ENDS):
            self.state.sample_generator()

    async def _ramp(self) -> None:
        plan, state = self.plan, self.state
        state.start()
        self._enter(Phase.RAMP)
        await self._checkpoint(Checkpoint.BEFORE)
        self._pool.tell(StartRamp(state.epoch))
        # A server that can't follow the connect rate is given more time as long as connections still succeed or fail.
        longest = state.wanted / plan.connect_rate + plan.connect_timeout + 2 * REPORT_SECONDS
        before = -1
        while not state.interrupted and not state.totals.settled and before < self._answered():
            before = self._answered()
            await self._pause(longest, lambda: state.totals.settled)
        state.ramp_seconds = max((progress.ramped for progress in state.totals.latest_reports), default=0) / NANO
        self._enter(Phase.SETTLE)
        await self._pause(plan.settle)
        await self._checkpoint(Checkpoint.SETTLED)

    def _answered(self) -> int:
        # Not the sessions: their number never stops growing when clients reconnect again and again.
        return self.state.totals.connected + sum(self.state.totals.faults.refused.values())

    async def _measure(self) -> None:
        """Play warm-up and measured time as one schedule, without a gap between them."""
        plan, state = self.plan, self.state
        begin = int(state.elapsed) + 1
        step = MeasuredStep(plan, begin, plan.warm_up, plan.rate, plan.duration)
        if plan.rate and not state.interrupted:
            self._play(step)
        await self._pause(begin - state.elapsed)
        if plan.warm_up:
            self._enter(Phase.WARM_UP)
            await self._pause(step.first - state.elapsed)
        await self._begin_measure()
        await self._pause(step.end - state.elapsed)
        await self._checkpoint(Checkpoint.MEASURE_ENDS)

    async def _sweep(self) -> None:
        plan, state = self.plan, self.state
        if plan.warm_up and not state.interrupted:
            begin = int(state.elapsed) + 1
            self._play_unmeasured(Schedule(begin, plan.rate, plan.warm_up, plan.publishers))
            await self._pause(begin - state.elapsed)
            self._enter(Phase.WARM_UP)
            await self._pause(begin + plan.warm_up - state.elapsed)
        await self._begin_measure()
        if not state.interrupted:
            await Sweep(state, self._play, self._pause).run()
        await self._checkpoint(Checkpoint.MEASURE_ENDS)

    async def _begin_measure(self) -> None:
        self._enter(Phase.MEASURE)
        await self._checkpoint(Checkpoint.MEASURE_BEGINS)
        self.state.totals.reset_lag(self.state.elapsed)
        if not self.state.interrupted:
            self._pool.tell(StartMeasure())

    async def _drain(self) -> None:
        """Wait for late messages, then let the workers count the messages that never came."""
        plan, state = self.plan, self.state
        self._enter(Phase.DRAIN)
        end = time.monotonic() + plan.drain
        over = state.cut_short() if state.interrupted else state.now
        self._pool.tell(StopLoad(over))
        if not plan.rate and not state.interrupted:
            roll_call = Schedule(int(state.elapsed) + 1, ROLL_CALL * max(1, plan.publishers), 1.0, plan.publishers)
            self._play_unmeasured(roll_call)
            await self._wait(roll_call.begin + 1 - state.elapsed)
        # An interrupted run has messages due until a moment that hasn't come yet.
        last_due = max(over, state.now)
        await self._wait(
            end - time.monotonic(), lambda: state.totals.reported_since(last_due) and not state.totals.backlog
        )
        sent = await self._pool.ask(CountSent(), SentMessages)
        records = {number: record for report in sent for number, record in report.records.items()}
        counts = {number: len(record) for number, record in records.items()}
        last = {number: record[-1] for number, record in records.items() if record}
        await self._pool.ask(AwaitDeliveries(counts, last, max(1.0, end - time.monotonic())), AwaitEnded)
        reconnects = plan.reconnect or plan.act in (Act.STORM, Act.CHURN)
        final = await self._pool.ask(FindLost(counts, records if reconnects else {}), FinalFaults)
        state.faults = merge_faults([report.faults for report in final])
        state.faults.unsent = sum(report.unsent for report in sent)
        state.storms = [report.storm for report in final if report.storm is not None]
        self._enter(Phase.CLOSE)
