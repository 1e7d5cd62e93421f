"""Charts of messages, deliveries, connections and what the servers spent."""

from __future__ import annotations

import pytest

from relay.loadtest.report import traffic_charts as traffic
from relay.loadtest.report.plot import Chart, Line, run_time_axis
from relay.loadtest.result.result import Process, Sample
from tests.loadtest.report.results import bad, good, idle, nothing, single, storm


def lines(chart: Chart | None) -> dict[str, Line]:
    """Return the lines of all plots by name."""
    assert chart is not None
    return {line.name: line for plot in chart.plots for line in plot.lines}


def test_rates_are_shown_beside_what_they_should_be() -> None:
    """Deliveries are compared with the messages times those who hear them."""
    shown = lines(traffic.rates(bad()))
    assert set(shown) == {"offered", "sent", "expected", "delivered"}
    seconds = {name: dict(line.points) for name, line in shown.items()}
    assert seconds["expected"][20.5] == pytest.approx(200_000)
    assert seconds["delivered"][20.5] == 0
    assert seconds["offered"][2.5] is None


def test_without_messages_there_are_no_rates() -> None:
    """Nothing, or nothing but connections."""
    assert traffic.rates(idle()) is None
    assert traffic.rates(nothing()) is None


def test_without_a_step_nothing_is_expected() -> None:
    """An interrupted run still shows what it sent."""
    assert set(lines(traffic.rates(good(steps=[])))) == {"offered", "sent", "delivered"}


def test_connections_begin_with_none_and_a_storm_is_marked() -> None:
    """Each second shows its end."""
    chart = traffic.connections(storm())
    points = lines(chart)["connected"].points
    assert points[:2] == [(0, 0), (1, 1000)]
    assert chart is not None
    assert [(mark.place, mark.name) for mark in chart.plots[0].marks] == [(20, "storm")]
    assert traffic.connections(nothing()) is None


def test_cpu_is_that_between_two_looks() -> None:
    """In cores; never below nothing, though a child ended and took its time along."""
    looks = [(0.0, 1.0), (2.0, 2.0), (2.0, 2.5), (3.0, 1.0)]
    samples = [Sample(moment=at, cpu_seconds=cpu, rss_bytes=10**6, connections=1) for at, cpu in looks]
    chart = traffic.spending(good(processes=[Process(name="gateway", pid=1, samples=samples)]))
    assert chart is not None
    cpu, memory = chart.plots
    assert cpu.lines[0].points == [(1.0, 0.5), (2.5, 0.0)]
    assert [value for _, value in memory.lines[0].points] == [10**6] * 4


def test_one_look_shows_memory_only_and_none_shows_nothing() -> None:
    """CPU takes two."""
    chart = traffic.spending(single())
    assert chart is not None
    assert len(chart.plots) == 1
    assert traffic.spending(good(processes=[Process(name="gateway", pid=1, samples=[])])) is None


def test_time_ends_with_the_run() -> None:
    """Or with the last look at a process; of nothing there is a second."""
    assert run_time_axis(good()).axis.scale.high == 40
    assert run_time_axis(nothing()).axis.scale.high == 1
