"""A sweep: the rate goes up step by step until a step breaks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from relay.loadtest.plan.schedule import NANO
from relay.loadtest.result.result import Step
from relay.loadtest.run.measured_step import MeasuredStep
from relay.loadtest.run.run_state import RunState
from relay.loadtest.units.formatting import causes, counted, duration, share

FACTOR: Final = 1.25
MAX_STEPS: Final = 60
KEPT: Final = 0.99
"""Share of the offered messages that must be sent on time."""

STRAGGLERS_SECONDS: Final = 3.0
"""Time for the last messages of a step to arrive before the next step begins. A step that needs longer is broken."""

RETRIES: Final = 1
"""A step that breaks is tried once more: one hiccup of the machine is not the knee."""


class Sweep:
    """The steps of one sweep.

    Args:
        state: state of the run.
        play: has the workers play a step.
        pause: waits for some seconds, or until a condition holds, or until the run is ended early.
    """

    def __init__(
        self,
        state: RunState,
        play: Callable[[MeasuredStep], None],
        pause: Callable[[float, Callable[[], bool]], Awaitable[None]],
    ) -> None:
        self._state = state
        self._play = play
        self._pause = pause

    async def run(self) -> None:
        """Play steps until one breaks twice."""
        state = self._state
        rate, failures = state.plan.rate, 0
        for _ in range(MAX_STEPS):
            step = await self._play_step(rate)
            if state.interrupted:
                return
            if step.broken:
                failures += 1
                # With connections closed, another try would not be the same run.
                if failures > RETRIES or state.totals.faults.closed:
                    return
            else:
                rate, failures = rate * FACTOR, 0

    async def _play_step(self, rate: float) -> MeasuredStep:
        state, plan, totals = self._state, self._state.plan, self._state.totals
        step = MeasuredStep(plan, int(state.elapsed) + 1, 0, rate, plan.duration)
        self._play(step)
        await self._pause(step.end - state.elapsed, lambda: False)

        # The last deliveries are in the workers' next reports.
        def over() -> bool:
            return totals.reported_since(step.end * NANO) and step.delivered >= step.expected and not totals.backlog

        await self._pause(STRAGGLERS_SECONDS, over)
        if state.interrupted:
            return step  # cut short, not broken
        if closed := totals.faults.closed:
            step.broken = f"connections were ended: {causes(closed)}"
        else:
            step.broken = why_broken(step.to_result(totals.on_time), plan.knee)
        return step


def why_broken(step: Step, knee: float) -> str:
    """Return why the rate of a step was too much; empty: it was kept.

    Args:
        step: the step after it was played.
        knee: p99 in seconds above which a step is broken.
    """
    if step.sent < KEPT * step.offered:
        return f"only {share(step.sent / step.offered, 3)} of the messages could be sent in time"
    if step.delivered < step.expected:
        return f"{counted(step.expected - step.delivered, 'delivery', 'deliveries')} did not come in time"
    if step.latency.p99 > knee:
        return f"p99 {duration(step.latency.p99, 4)}"
    return ""
