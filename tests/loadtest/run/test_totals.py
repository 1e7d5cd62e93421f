"""The reports of all workers come to what the run was."""

from __future__ import annotations

from collections import Counter

import pytest

from relay.loadtest.plan.plan import Dialect, Plan
from relay.loadtest.result.faults import Fault, Faults, Incident
from relay.loadtest.result.result import Phase
from relay.loadtest.run.measured_step import MeasuredStep
from relay.loadtest.run.totals import MAX_INCIDENTS, RunTotals, merge_faults
from tests.loadtest.progress_reports import make_progress, times


def make_part(first: int, seconds: int) -> MeasuredStep:
    """Return a step that counts some seconds."""
    return MeasuredStep(Plan(urls=("ws://h",), dialect=Dialect()), first, 0, 10.0, seconds)


def test_what_workers_have_is_added_up() -> None:
    """Of each worker the latest report counts."""
    totals = RunTotals(2)
    totals.add(
        0, make_progress(1, connected=1, sessions=1, delivered=5, backlog=9, bytes_received=50, pings=1, cpu=0.5)
    )
    totals.add(
        0, make_progress(2, connected=3, sessions=4, delivered=7, backlog=1, bytes_received=70, pings=2, cpu=0.75)
    )
    assert not totals.settled
    assert totals.cpu == [0.75, 0.0]
    totals.add(
        1, make_progress(2, connected=10, sessions=10, delivered=30, backlog=2, bytes_received=7, pings=3, cpu=2.0)
    )
    assert (totals.connected, totals.sessions, totals.deliveries, totals.backlog) == (13, 14, 37, 3)
    assert (totals.bytes_received, totals.pings, totals.cpu, len(totals.latest_reports)) == (77, 5, [0.75, 2.0], 2)


def test_everybody_is_settled_when_all_say_so() -> None:
    totals = RunTotals(2)
    totals.add(0, make_progress())
    totals.add(1, make_progress(settled=False))
    assert not totals.settled
    totals.add(1, make_progress())
    assert totals.settled


def test_all_have_reported_since_a_moment_or_not() -> None:
    totals = RunTotals(2)
    totals.add(0, make_progress(3))
    assert not totals.reported_since(0)
    totals.add(1, make_progress(2))
    assert (totals.reported_since(2_000_000_000), totals.reported_since(2_000_000_001)) == (True, False)


def test_what_counts_by_second_is_the_sum_of_all_reports() -> None:
    totals = RunTotals(2)
    for worker, count in ((0, 1), (1, 10), (0, 100)):
        totals.add(
            worker,
            make_progress(
                sent_by_second={3: count}, on_time_by_second={3: count, 4: 1}, delivered_by_second={2: count}
            ),
        )
    assert (totals.sent, totals.on_time, totals.delivered) == ({3: 111}, {3: 111, 4: 3}, {2: 111})


def test_times_of_all_workers_are_one_distribution() -> None:
    totals = RunTotals(2)
    totals.add(0, make_progress(latencies=[(1, times(1000), times())], handshakes=times(500), storm=times(7)))
    totals.add(1, make_progress(latencies=[(1, times(2000, 1500), times())], handshakes=times(600)))
    assert totals.latency(1) == pytest.approx((0.0015, 0.002, 0.002, 0.002))
    assert totals.latency(2) is None
    assert (totals.handshake.total, totals.storm.total) == (2, 1)


def test_a_delivery_counts_in_the_step_in_which_its_message_was_due() -> None:
    totals = RunTotals(1)
    totals.steps += [make_part(2, 2), make_part(5, 1)]
    totals.add(0, make_progress(latencies=[(second, times(10), times(5, 5)) for second in range(7)]))
    first, second = totals.steps
    assert (first.delivered, first.sent.total) == (2, 4)
    assert (second.delivered, second.sent.total) == (1, 2)


def test_a_straggler_counts_in_its_step_however_late_it_is() -> None:
    totals = RunTotals(1)
    totals.steps.append(make_part(0, 10))
    for second in (1, 62, 63, 130):
        totals.add(0, make_progress(second, latencies=[(0, times(1000), times())]))
    assert totals.steps[0].delivered == 4


def test_figures_of_an_old_second_do_not_become_those_of_its_stragglers() -> None:
    totals = RunTotals(1)
    totals.add(0, make_progress(1, latencies=[(0, times(*[1000] * 9), times())]))
    totals.add(0, make_progress(62))
    before = totals.latency(0)
    totals.add(0, make_progress(63, latencies=[(0, times(60_000_000), times())]))
    assert totals.latency(0) == before
    totals.add(0, make_progress(64))
    assert totals.latency(0) == before


def test_lag_is_of_the_measured_time_alone() -> None:
    totals = RunTotals(1)
    totals.add(0, make_progress(1, lag=times(5), send_lag=times(5)))
    totals.reset_lag(2.0)
    totals.add(0, make_progress(1.9, lag=times(6), send_lag=times(6)))
    totals.add(0, make_progress(2.1, lag=times(7), send_lag=times(7, 8)))
    assert (totals.lag.total, totals.send_lag.total) == (1, 2)


def test_every_second_has_a_moment() -> None:
    """What isn't known of one is as in the one before."""
    totals = RunTotals(1)
    totals.add(0, make_progress(1.2, connected=3, sent_by_second={1: 5}, latencies=[(1, times(1000), times())]))
    totals.add(0, make_progress(1.7, connected=4, delivered_by_second={1: 20}))
    totals.add(0, make_progress(4.0, connected=2))
    phases = [(0, Phase.RAMP), (1, Phase.MEASURE), (4, Phase.DRAIN)]
    moments = totals.moments(phases, Counter({1: 6}), 5)
    assert [moment.second for moment in moments] == [0, 1, 2, 3, 4]
    assert [moment.connected for moment in moments] == [0, 4, 4, 4, 2]
    assert [moment.phase for moment in moments] == [Phase.RAMP, *[Phase.MEASURE] * 3, Phase.DRAIN]
    assert (moments[1].offered, moments[1].sent, moments[1].delivered) == (6, 5, 20)
    assert (moments[1].p50, moments[1].max) == pytest.approx((0.001, 0.001))
    assert (moments[2].p50, moments[2].p99, moments[2].p99_9, moments[2].max) == (None, None, None, None)


def incident(moment: float) -> Incident:
    """Return a fault that was noticed at a moment."""
    return Incident(fault=Fault.LOST, moment=moment, client=0, url="ws://h")


def test_faults_of_all_workers_are_added_up_with_the_earliest_incidents() -> None:
    counts = {name: 1 for name in ("lost", "duplicated", "reordered", "foreign", "unexpected", "unsent", "missed")}
    causes = {name: {"reset": 1, name: 2} for name in ("closed", "returned", "refused", "slow_closed")}
    first = Faults(**counts, **causes, incidents=[incident(moment) for moment in range(1, 20, 2)])  # type: ignore[arg-type]
    second = Faults(**counts, closed={"reset": 5}, incidents=[incident(moment) for moment in range(0, 20, 2)])  # type: ignore[arg-type]
    total = merge_faults([first, second, Faults()])
    assert {name: getattr(total, name) for name in counts} == dict.fromkeys(counts, 2)
    assert total.closed == {"reset": 6, "closed": 2}
    assert total.refused == {"reset": 1, "refused": 2}
    assert (total.returned, total.slow_closed) == ({"reset": 1, "returned": 2}, {"reset": 1, "slow_closed": 2})
    assert [shown.moment for shown in total.incidents] == list(range(MAX_INCIDENTS))
    assert first.closed == {"reset": 1, "closed": 2}


def test_faults_so_far_are_those_of_the_latest_reports() -> None:
    totals = RunTotals(2)
    totals.add(0, make_progress(faults=Faults(lost=3)))
    totals.add(0, make_progress(faults=Faults(lost=1)))
    totals.add(1, make_progress(faults=Faults(lost=10)))
    assert totals.faults.lost == 11
