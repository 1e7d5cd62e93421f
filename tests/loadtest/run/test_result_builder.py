"""What a run comes to is made of what was seen, and of nothing else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from relay.loadtest.plan.plan import Dialect, Plan
from relay.loadtest.result.faults import Faults
from relay.loadtest.result.result import Phase, Process, RedisUse, Result, Resumption
from relay.loadtest.result.threshold import Threshold
from relay.loadtest.run.measured_step import MeasuredStep
from relay.loadtest.run.result_builder import build_result
from relay.loadtest.run.run_state import GeneratorSample, RunState
from relay.loadtest.target.observer import Observer
from tests.loadtest.progress_reports import make_progress, times


class Seen(Observer):
    """An observer that has seen something."""

    def __init__(self) -> None:
        super().__init__({})
        self.asked: list[int] = []

    def processes(self, deliveries: int) -> list[Process]:
        self.asked.append(deliveries)
        return [Process(name="gateway 1", pid=1, samples=[])]

    def redis_use(self, messages: int) -> RedisUse | None:
        self.asked.append(messages)
        return RedisUse(url="redis://h", cpu_share=0.1, commands_rate=5.0)


def make_run(**given: object) -> RunState:
    """Return a run with one worker that hasn't begun, of 5 clients and a publisher with 10 messages/s."""
    plan = Plan(urls=("ws://h",), dialect=Dialect(), **{"clients": 5, "rate": 10.0, **given})  # type: ignore[arg-type]
    return RunState(plan)


def played(run: RunState, first: int, rate: float = 10.0, broken: str = "", arrived: int | None = None) -> MeasuredStep:
    """Let a step of two seconds be over; what arrived did so in time."""
    step = MeasuredStep(run.plan, first, 0, rate, 2)
    step.broken = broken
    count = step.expected if arrived is None else arrived
    step.due.merge(times(*[2000] * count))
    step.sent.merge(times(*[1000] * count))
    run.totals.delivered[first] += count
    run.steps.append(step)
    return step


def result_of(run: RunState, observer: Observer | None = None, *limits: str) -> Result:
    """Return the result of a run."""
    thresholds = [Threshold.parse(limit) for limit in limits]
    return build_result(
        run, observer or Observer({}), "0000ab", "2030-01-02T03:04:05+00:00", {"what": "value"}, thresholds
    )


def measured(run: RunState, cpu: float = 1.0) -> None:
    """Let the worker have used so many seconds of CPU time in the two measured ones."""
    run.samples += [GeneratorSample(1.0, [0.25], 10, 1000), GeneratorSample(3.0, [0.25 + cpu], 110, 21000)]


def test_a_clean_run_has_its_figures() -> None:
    run = make_run(profile="echo", size=99)
    run.epoch -= 3_500_000_000
    played(run, 1)
    measured(run)
    run.ramp_seconds = 0.5
    run.phases += [(0, Phase.RAMP), (1, Phase.MEASURE)]
    progress = make_progress(3, sessions=6, delivered=110, pings=2, handshakes=times(700), sent_by_second={1: 10, 2: 9})
    run.totals.add(0, progress)
    observer = Seen()
    observer.notes.append("gateway 1 ended")
    result = result_of(run, observer)
    assert (result.run, result.profile, result.size, result.conditions) == ("0000ab", "echo", 99, {"what": "value"})
    assert (result.clients, result.channels, result.publishers, result.rate) == (5, 1, 1, 10.0)
    assert (result.delivered, result.bytes_received, result.delivery_rate) == (110, 20000, 50.0)
    connects = result.connects
    assert (connects.wanted, connects.made, connects.seconds, connects.rate) == (6, 6, 0.5, 12.0)
    assert (connects.sessions, connects.pings, connects.handshake.count) == (6, 2, 1)
    assert (result.generator.workers, result.generator.cpu_share, result.generator.cpu_per_delivery) == (1, 0.5, 0.01)
    assert result.generator.warnings == ["gateway 1 ended"]
    assert (result.verdict, result.interrupted, result.knee, result.storm) == ([], False, None, None)
    assert result.processes[0].name == "gateway 1"
    assert result.redis is not None
    # Deliveries and messages of the measured time.
    assert observer.asked == [100, 19]
    assert [moment.sent for moment in result.moments[:3]] == [0, 10, 9]


def test_deliveries_that_come_after_the_measured_time_do_not_make_a_server_faster() -> None:
    run = make_run()
    step = played(run, 1)
    run.totals.delivered[1] -= 60
    run.totals.delivered[step.end] += 60
    result = result_of(run)
    assert (result.steps[0].delivered, result.delivery_rate) == (100, 20.0)


def test_more_sessions_than_connections_are_those_of_clients_that_came_back() -> None:
    run = make_run()
    run.totals.add(0, make_progress(sessions=9))
    connects = result_of(run).connects
    assert (connects.made, connects.sessions) == (6, 9)


def test_who_resumes_is_counted_by_kind() -> None:
    run = make_run(resume=True)
    run.totals.add(0, make_progress(sessions=9, resumed=3, notices=2))
    assert result_of(run).resumption == Resumption(events=3, polls=2, resumed=3, notices=2)
    assert result_of(make_run()).resumption is None


def test_a_run_that_was_not_measured_has_no_figures_but_a_verdict() -> None:
    run = make_run()
    run.interrupted = True
    result = result_of(run)
    assert (result.steps, result.delivery_rate, result.bytes_received) == ([], 0.0, 0)
    assert (result.generator.cpu_share, result.generator.cpu_per_delivery) == (0.0, None)
    assert (result.interrupted, len(result.verdict)) == (True, 1)


def test_a_run_without_deliveries_has_no_cost_per_delivery() -> None:
    run = make_run()
    run.samples += [GeneratorSample(1.0, [0.0], 0, 0), GeneratorSample(3.0, [1.0], 0, 0)]
    assert result_of(run).generator.cpu_per_delivery is None


@pytest.mark.parametrize(
    ("cpu", "lag", "words"),
    [
        (1.0, 1000, []),
        (1.8, 1000, ["the load test itself was busy: a worker used 90 % of a core"]),
        (1.0, 20_000, ["the load test itself was late: its event loops lagged by 20 ms (p99)"]),
        (2.0, 20_000, ["the load test itself was busy", "the load test itself was late"]),
    ],
)
def test_a_load_test_that_was_the_bottleneck_warns_of_itself(cpu: float, lag: int, words: list[str]) -> None:
    run = make_run()
    measured(run, cpu)
    run.totals.add(0, make_progress(sessions=6, lag=times(lag)))
    warnings = result_of(run).generator.warnings
    assert [warning[: len(word)] for warning, word in zip(warnings, words, strict=True)] == words


def test_a_load_test_that_stood_still_once_warns_of_itself() -> None:
    """One stall among thousands of looks is no percentile, but the longest latencies are its."""
    run = make_run()
    measured(run)
    run.totals.add(0, make_progress(sessions=6, lag=times(*[100] * 999, 2_000_000)))
    (warning,) = result_of(run).generator.warnings
    assert warning == "the load test itself stood still for 2 s: the longest latencies may be its own"


def test_the_busiest_worker_counts_and_the_cost_of_all() -> None:
    run = make_run(workers=2)
    run.samples += [GeneratorSample(1.0, [1.0, 1.0], 0, 0), GeneratorSample(3.0, [1.5, 2.0], 100, 0)]
    generator = result_of(run).generator
    assert (generator.cpu_share, generator.cpu_per_delivery) == (0.5, 0.015)


@pytest.mark.parametrize(
    ("broken", "knee", "best"),
    [
        (["", "", "p99 200 ms", "p99 300 ms"], 1, 1),
        (["", "p99 200 ms", "", "p99 300 ms"], 2, 2),
        (["", ""], None, 1),
        (["p99 200 ms", "p99 300 ms"], None, 0),
    ],
)
def test_the_knee_is_the_last_step_that_was_kept(broken: list[str], knee: int | None, best: int) -> None:
    """If one broke after all."""
    run = make_run(sweep=True)
    for number, text in enumerate(broken):
        played(run, 1 + 2 * number, rate=10.0 * (number + 1), broken=text)
    result = result_of(run)
    assert result.knee == knee
    assert result.headline == result.steps[best]
    assert result.delivery_rate == 50.0 * (best + 1)


def test_what_could_not_be_sent_at_a_rate_that_was_too_much_is_no_fault() -> None:
    """But with a rate that was kept it is."""
    for broken, unsent in (("too much", 0), ("", 7)):
        run = make_run(sweep=True)
        played(run, 1, broken=broken)
        run.totals.add(0, make_progress(sessions=6))
        run.faults = Faults(unsent=7)
        result = result_of(run)
        assert (result.faults.unsent, bool(result.verdict)) == (unsent, bool(unsent))


@pytest.mark.parametrize(
    ("storms", "expected"),
    [
        ([(2_000_000_000, 500_000_000)], (2.0, 0.5)),
        ([(2_000_000_000, 500_000_000), (2_100_000_000, 700_000_000)], (2.0, 0.7)),
        ([(2_000_000_000, 500_000_000), (2_100_000_000, -1)], (2.0, None)),
    ],
)
def test_a_storm_is_over_when_the_last_worker_says_so(
    storms: list[tuple[int, int]], expected: tuple[float, float | None]
) -> None:
    run = make_run()
    run.storms = storms
    run.totals.add(0, make_progress(storm=times(10, 20)))
    storm = result_of(run).storm
    assert storm is not None
    assert (storm.moment, storm.seconds) == expected
    assert (storm.clients, storm.handshake.count) == (5, 2)


CAUSES: Mapping[str, Faults] = {
    "lost": Faults(lost=1),
    "closed": Faults(closed={"reset": 1}),
    "refused": Faults(refused={"HTTP 503": 1}),
}


@pytest.mark.parametrize("word", CAUSES)
def test_a_run_with_faults_has_failed(word: str) -> None:
    run = make_run()
    run.totals.add(0, make_progress(sessions=6))
    run.faults = CAUSES[word]
    assert len(result_of(run).verdict) == 1


def test_a_threshold_that_is_broken_fails_the_run() -> None:
    run = make_run()
    played(run, 1)
    run.totals.add(0, make_progress(sessions=6))
    assert result_of(run, None, "p99>50ms").verdict == []
    (sentence,) = result_of(run, None, "p99>50ms", "p99>1ms").verdict
    assert "p99" in sentence
