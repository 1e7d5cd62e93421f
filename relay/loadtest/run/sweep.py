"""A sweep: the rate goes up step by step until something breaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from relay.loadtest.plan.schedule import NANO
from relay.loadtest.result.result import Step
from relay.loadtest.run.measured_step import Part
from relay.loadtest.units.formatting import causes, counted, duration, share

if TYPE_CHECKING:
    from relay.loadtest.run.coordinator import Coordinator

FACTOR: Final = 1.25
MAX_STEPS: Final = 60
KEPT: Final = 0.99
"""Share of the offered messages that has to be sent in time."""

STRAGGLERS_SECONDS: Final = 3.0
"""Time for the last messages of a step to arrive, before the next one begins. What needs longer breaks the step."""

RETRIES: Final = 1
"""A step that breaks is tried once more: one hiccup of the machine is not the knee."""


class Sweep:
    """The steps of one sweep.

    Args:
        coordinator: of the run.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    async def run(self) -> None:
        """Play steps until one breaks twice."""
        rate, failures = self._coordinator.plan.rate, 0
        for _ in range(MAX_STEPS):
            part = await self._play(rate)
            if self._coordinator.interrupted:
                return
            if part.broken:
                failures += 1
                # Without those that were closed, another try would be another run.
                if failures > RETRIES or self._coordinator.tally.faults.closed:
                    return
            else:
                rate, failures = rate * FACTOR, 0

    async def _play(self, rate: float) -> Part:
        run, plan = self._coordinator, self._coordinator.plan
        part = Part(plan, int(run.elapsed) + 1, 0, rate, plan.duration)
        run.play(part)
        await run.pause(part.end - run.elapsed)

        # What comes last is in the workers' next reports.
        def over() -> bool:
            return run.tally.since(part.end * NANO) and part.delivered >= part.expected and not run.tally.owed

        await run.pause(STRAGGLERS_SECONDS, over)
        if run.interrupted:
            return part  # cut short, not broken
        if closed := run.tally.faults.closed:
            part.broken = f"connections were ended: {causes(closed)}"
        else:
            part.broken = why_broken(part.step(run.tally.punctual), plan.knee)
        return part


def why_broken(step: Step, knee: float) -> str:
    """Return why a step was too much; empty: it was kept.

    Args:
        step: that was played.
        knee: p99 in seconds that is too much.
    """
    if step.sent < KEPT * step.offered:
        return f"only {share(step.sent / step.offered, 3)} of the messages could be sent in time"
    if step.delivered < step.expected:
        return f"{counted(step.expected - step.delivered, 'delivery', 'deliveries')} did not come in time"
    if step.latency.p99 > knee:
        return f"p99 {duration(step.latency.p99, 4)}"
    return ""
