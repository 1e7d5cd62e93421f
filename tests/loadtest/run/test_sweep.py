"""A sweep goes up until a step breaks twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from relay.loadtest.plan.plan import Dialect, Plan
from relay.loadtest.plan.schedule import NANO
from relay.loadtest.result.faults import Faults
from relay.loadtest.result.result import Percentiles
from relay.loadtest.run import sweep as module
from relay.loadtest.run.measured_step import MeasuredStep
from relay.loadtest.run.run_state import RunState
from relay.loadtest.run.sweep import Sweep, why_broken
from tests.loadtest.progress_reports import make_progress, times
from tests.loadtest.sample_results import make_step


class Run:
    """A run whose server delivers everything up to a rate.

    Args:
        bears: messages/s.
        hiccup: rate at which it delivers nothing the first time.
    """

    def __init__(self, bears: float, hiccup: float = 0.0) -> None:
        plan = Plan(urls=("ws://h",), dialect=Dialect(), clients=2, rate=100.0, duration=2, sweep=True)
        self._now = 0
        self.state = RunState(plan, lambda: self._now)
        self._now = NANO // 2
        self.played: list[float] = []
        self.waits: list[float] = []
        self.during: Callable[[], None] = lambda: None
        self._bears = bears
        self._hiccup = hiccup

    def play(self, step: MeasuredStep) -> None:
        """Record the rate, and have all of it delivered, or nothing."""
        totals, rate = self.state.totals, step.schedule.rate
        self.played.append(rate)
        totals.steps.append(step)
        self.during()
        first = self.played.count(rate) == 1
        bears = rate <= self._bears and not (first and rate == self._hiccup)
        arrived = times(*[500] * step.expected) if bears else times()
        on_time = {second: step.schedule.before(second + 1) - step.schedule.before(second) for second in range(100)}
        totals.on_time.clear()
        progress = make_progress(
            self.state.elapsed, latencies=[(step.first, arrived, arrived)], on_time_by_second=on_time
        )
        totals.add(0, progress._replace(faults=totals.faults))

    async def pause(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """Let time go by."""
        self.waits.append(0.0 if until() else seconds)
        self._now += round(self.waits[-1] * NANO)
        self.state.totals.add(0, make_progress(self.state.elapsed, faults=self.state.totals.faults))


async def sweep(run: Run) -> list[str]:
    """Play a sweep, and return why each step broke."""
    await Sweep(run.state, run.play, run.pause).run()
    return [step.broken for step in run.state.steps]


async def test_the_rate_goes_up_by_a_quarter_until_a_step_breaks_twice() -> None:
    run = Run(bears=200)
    broken = await sweep(run)
    assert run.played == pytest.approx([100, 125, 156.25, 195.3125, 244.140625, 244.140625])
    assert broken[:4] == [""] * 4
    assert [text.split()[1:] for text in broken[4:]] == [["deliveries", "did", "not", "come", "in", "time"]] * 2


async def test_a_hiccup_is_not_the_knee() -> None:
    run = Run(bears=150, hiccup=125.0)
    broken = await sweep(run)
    assert run.played == [100, 125, 125, 156.25, 156.25]
    assert [bool(text) for text in broken] == [False, True, False, True, True]


async def test_steps_begin_with_a_second_and_wait_for_stragglers_only_as_long_as_there_are_some() -> None:
    run = Run(bears=110)
    await sweep(run)
    assert [step.first for step in run.state.totals.steps] == [1, 4, 10]
    assert run.waits[1::2] == [0.0, module.STRAGGLERS_SECONDS, module.STRAGGLERS_SECONDS]


async def test_a_server_that_bears_everything_ends_the_sweep_some_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_STEPS", 3)
    run = Run(bears=1e9)
    assert await sweep(run) == [""] * 3


async def test_connections_that_are_closed_break_a_step_and_end_the_sweep() -> None:
    run = Run(bears=1e9)

    def close() -> None:
        run.state.totals.add(0, make_progress(faults=Faults(closed={"reset": len(run.played)})))

    run.during = close
    assert await sweep(run) == ["connections were ended: reset (1)"]


async def test_an_interrupted_sweep_ends_after_the_step_which_is_not_broken_by_that() -> None:
    run = Run(bears=110)

    def interrupt() -> None:
        run.state.interrupted = len(run.played) == 2

    run.during = interrupt
    assert await sweep(run) == ["", ""]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, ""),
        ({"sent": 99}, ""),
        ({"sent": 98}, "98"),
        ({"delivered": 999}, "1 delivery did not come in time"),
        ({"delivered": 998}, "2 deliveries did not come in time"),
        ({"delivered": 1001}, ""),
        ({"latency": Percentiles(count=1, p99=0.1)}, ""),
        ({"latency": Percentiles(count=1, p99=0.12345)}, "p99 123"),
    ],
)
def test_a_step_is_too_much_for_a_reason(given: dict[str, Any], text: str) -> None:
    broken = why_broken(make_step(**given), 0.1)
    assert bool(broken) == bool(text)
    assert text in broken
