"""The course of a run, whatever becomes of it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field

import pytest

from relay.loadtest.plan.plan import Act, Dialect, Hears, Plan
from relay.loadtest.plan.server_address import resolve
from relay.loadtest.result.result import Phase
from relay.loadtest.run.coordinator import ROLL_CALL, Coordinator
from relay.loadtest.target.observer import Observer
from tests.harness.broadcast_server import BroadcastServer
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.worker_thread import worker_threads

ALL = [Phase.RAMP, Phase.SETTLE, Phase.WARM_UP, Phase.MEASURE, Phase.DRAIN, Phase.CLOSE]
WITHOUT_WARM_UP = [phase for phase in ALL if phase is not Phase.WARM_UP]


@dataclass
class Run:
    """A run and its server.

    Args:
        given: fields of the plan that matter to the test.
        meanwhile: what happens while it runs.
    """

    given: dict[str, object]
    meanwhile: Callable[[Run], Awaitable[None]] | None = None
    server: BroadcastServer = field(default_factory=BroadcastServer)
    coordinator: Coordinator = field(init=False)
    shown: list[Phase] = field(default_factory=list)

    async def run(self) -> None:
        """Run it to its end."""
        async with self.server:
            fields = {
                **{"clients": 3, "publishers": 2, "channels": 2, "rate": 50.0, "hears": Hears.OTHERS},
                **{"warm_up": 0, "duration": 1, "settle": 0.0, "drain": 2.0},
                # Whoever isn't let in plays no more: on a busy machine nobody would be.
                "connect_timeout": PATIENCE_SECONDS,
                **{"urls": (self.server.url,)},
                **self.given,
            }
            plan = Plan(dialect=Dialect(), **fields)  # type: ignore[arg-type]
            places = [resolve(url) for url in plan.urls]
            self.coordinator = Coordinator(plan, 0xAB, places, Observer({}), lambda run: self.shown.append(run.phase))
            meanwhile = asyncio.ensure_future(self.meanwhile(self)) if self.meanwhile else None
            await self.coordinator.run()
            if meanwhile is not None:
                assert meanwhile.done(), f"the run ended before {self.meanwhile}: {self.coordinator.state.faults}"
                await meanwhile

    @property
    def phases(self) -> list[Phase]:
        """All phases that there were."""
        return [phase for _, phase in self.coordinator.state.phases]


async def interrupt_when_playing(run: Run) -> None:
    """End a run early, when some messages have been sent."""
    await wait_until(lambda: run.server.messages > 10)
    run.coordinator.stop()


async def interrupt_the_ramp(run: Run) -> None:
    """End a run early, when somebody is there."""
    await wait_until(lambda: run.server.accepted > 3)
    run.coordinator.stop()


async def hang_up_on_one(run: Run) -> None:
    """End a connection, when some messages have been sent."""
    await wait_until(lambda: run.server.messages > 10)
    run.server.sessions[0].end()


RUNS = {
    "plain": Run({"warm_up": 1, "duration": 2, "workers": 2}),
    "roll call": Run({"rate": 0.0}),
    "nobody": Run({"urls": ("ws://127.0.0.1:1",)}),
    "interrupted": Run({"duration": 60}, interrupt_when_playing),
    "interrupted ramp": Run({"clients": 500, "connect_rate": 20.0, "warm_up": 1}, interrupt_the_ramp),
    "interrupted sweep": Run({"sweep": True, "duration": 60, "warm_up": 1}, interrupt_when_playing),
    "sweep": Run({"sweep": True, "knee": 0.0, "warm_up": 1}),
    "storm": Run({"act": Act.STORM}),
    "churn": Run({"act": Act.CHURN, "churn": 20.0, "publishers": 4, "rate": 1.0}),
    "hung up": Run({}, hang_up_on_one),
}


@pytest.fixture(scope="module")
def runs() -> Iterator[dict[str, Run]]:
    """All runs, beside each other, at their ends."""

    async def run_all() -> None:
        await asyncio.gather(*(run.run() for run in RUNS.values()))

    with worker_threads(), pytest.MonkeyPatch.context() as patch:
        patch.setattr("relay.loadtest.generator.load_worker.REPORT_NS", 100_000_000)
        asyncio.run(run_all())
        yield RUNS


def test_a_run_goes_through_all_phases_and_everything_adds_up(runs: dict[str, Run]) -> None:
    run = runs["plain"]
    state, totals = run.coordinator.state, run.coordinator.state.totals
    assert run.phases == ALL
    assert [second for second, _ in state.phases] == sorted(second for second, _ in state.phases)
    (step,) = state.steps
    # Three clients and the publishers of two channels, one in each: 2 or 1 receivers.
    assert (step.offered, step.expected, step.delivered) == (100, 150, 150)
    assert totals.deliveries == run.server.deliveries.total() == 225
    assert state.offered == Counter({step.first - 1: 50, step.first: 50, step.first + 1: 50})
    assert totals.sent.total() == run.server.messages == 150
    assert sum(totals.on_time[second] for second in range(step.first, step.end)) == 100
    begin, end = state.samples
    # About 2 s, but for what a busy machine stands still in between.
    assert 0 < begin.moment < end.moment < state.elapsed
    assert 0 < end.delivered - begin.delivered <= 225
    assert len(begin.cpu) == len(end.cpu) == 2
    assert 0 < state.ramp_seconds < state.elapsed
    assert (state.faults.any, state.storms, state.interrupted) == (False, [], False)


def test_all_that_is_new_is_shown(runs: dict[str, Run]) -> None:
    assert {*runs["plain"].shown} == {*ALL}
    assert len(runs["plain"].shown) > 20


def test_a_run_without_messages_calls_the_roll(runs: dict[str, Run]) -> None:
    run = runs["roll call"]
    assert run.phases == WITHOUT_WARM_UP
    assert run.coordinator.state.steps == []
    assert run.server.messages == sum(run.coordinator.state.offered.values()) == 2 * ROLL_CALL
    assert run.coordinator.state.totals.deliveries == 3 * ROLL_CALL
    assert not run.coordinator.state.faults.any


def test_when_nobody_gets_in_nothing_is_measured(runs: dict[str, Run]) -> None:
    run = runs["nobody"]
    assert run.phases == [Phase.RAMP, Phase.SETTLE, Phase.DRAIN, Phase.CLOSE]
    assert run.coordinator.state.faults.refused == {"connection refused": 5}
    assert (run.coordinator.state.steps, run.coordinator.state.samples) == ([], [])


def test_an_interrupted_run_checks_what_was_sent(runs: dict[str, Run]) -> None:
    run = runs["interrupted"]
    (step,) = run.coordinator.state.steps
    assert run.coordinator.state.interrupted
    assert run.phases == WITHOUT_WARM_UP
    assert 10 < step.offered == run.server.messages < 500
    assert step.expected == step.delivered == run.server.deliveries.total()
    assert (run.coordinator.state.faults.any, run.coordinator.state.elapsed < 30) == (False, True)


def test_a_run_that_is_interrupted_in_the_ramp_sends_nothing(runs: dict[str, Run]) -> None:
    run = runs["interrupted ramp"]
    assert (run.server.messages, run.coordinator.state.interrupted) == (0, True)
    assert run.server.accepted < 500
    assert run.coordinator.state.steps == []


def test_a_sweep_that_is_interrupted_while_it_warms_up_has_no_step(runs: dict[str, Run]) -> None:
    run = runs["interrupted sweep"]
    assert run.coordinator.state.interrupted
    assert run.coordinator.state.steps == []
    assert not run.coordinator.state.faults.any
    assert sum(run.coordinator.state.offered.values()) == run.server.messages


def test_a_sweep_ends_with_the_step_that_is_too_much(runs: dict[str, Run]) -> None:
    run = runs["sweep"]
    assert run.phases == ALL
    assert [step.schedule.rate for step in run.coordinator.state.steps] == [50.0, 50.0]
    assert all(step.broken.startswith("p99 ") for step in run.coordinator.state.steps)
    assert [step.delivered for step in run.coordinator.state.steps] == [75, 75]
    assert sum(run.coordinator.state.offered.values()) == run.server.messages == 150


def test_a_storm_is_told(runs: dict[str, Run]) -> None:
    state = runs["storm"].coordinator.state
    ((moment, length),) = state.storms
    assert 0 < moment < moment + length < state.elapsed * 1e9
    assert state.totals.sessions == 8
    assert (state.faults.any, state.totals.storm.total) == (False, 3)


def test_a_churn_with_publishers_that_send_nothing_is_judged(runs: dict[str, Run]) -> None:
    """There are fewer messages than publishers."""
    run = runs["churn"]
    assert run.coordinator.state.totals.sessions > 7
    assert run.server.messages == 1
    assert not run.coordinator.state.faults.any


def test_who_is_hung_up_on_is_counted(runs: dict[str, Run]) -> None:
    run = runs["hung up"]
    assert run.coordinator.state.faults.closed == {"closed without a close frame": 1}
    (step,) = run.coordinator.state.steps
    assert step.offered == 50
    faults = run.coordinator.state.faults
    assert step.delivered + faults.missed + faults.lost == step.expected - 2 * faults.unsent


def test_all_workers_have_left_the_servers(runs: dict[str, Run]) -> None:
    assert [name for name, run in runs.items() if run.server.sessions] == []
