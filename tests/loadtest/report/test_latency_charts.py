"""Charts of times."""

from __future__ import annotations

import pytest

from relay.loadtest.report import latency_charts as latency
from relay.loadtest.report.plot import Line
from relay.loadtest.report.scale import Linear, Log
from relay.loadtest.result.result import Percentiles
from tests.loadtest.report.parts import step, times
from tests.loadtest.report.results import bad, good, idle, interrupted, sweep


def spectrum(*distributions: Percentiles) -> list[Line]:
    """Return the lines of a percentile spectrum."""
    chart = latency.spectra([(f"line {n}", each) for n, each in enumerate(distributions)], name="", note="", what="")
    assert chart is not None
    return list(chart.plots[0].lines)


def test_a_spectrum_shows_all_points_of_the_histogram() -> None:
    """Of each distribution that has any."""
    due, sent = times(0.001), times(0.0009)
    assert [line.points for line in spectrum(due, sent)] == [list(due.spectrum), list(sent.spectrum)]
    assert [line.name for line in spectrum(Percentiles(), sent)] == ["line 1"]
    assert latency.spectra([("none", Percentiles())], name="", note="", what="") is None


def test_a_spectrum_without_fine_points_shows_the_named_percentiles() -> None:
    """Up to the maximum."""
    few = Percentiles(count=10, p50=1.0, p90=2.0, p99=3.0, p99_9=4.0, p99_99=5.0, max=6.0)
    assert spectrum(few)[0].points == [(50, 1), (90, 2), (99, 3), (99.9, 4), (99.99, 5), (100, 6)]


def test_the_latency_over_time_shows_a_stall_in_full() -> None:
    """And is broken where nothing was due."""
    chart = latency.over_time(bad())
    assert chart is not None
    lines = {line.name: line.points for line in chart.plots[0].lines}
    assert set(lines) == {"p50", "p99", "p99.9"}
    assert max(value or 0 for _, value in lines["p99.9"]) > 2
    assert lines["p50"][0][1] is None
    assert [band.name for band in chart.plots[0].bands] == ["ramp", "settle", "warm-up", "measure", "drain", "close"]
    assert [band.name for band in chart.plots[0].bands if not band.shaded] == ["measure"]


def test_without_latencies_there_is_no_chart_of_them() -> None:
    """An idle run, and one that was ended in its ramp."""
    assert latency.over_time(idle()) is None
    assert latency.over_time(interrupted()) is None


def test_a_sweep_shows_latency_and_shortfall_with_the_knee_marked() -> None:
    """What lies behind it is set apart."""
    result = sweep([100.0, 200.0, 300.0, 400.0], kept=2)
    chart = latency.sweep(result)
    assert chart is not None
    above, below = chart.plots
    assert [line.name for line in above.lines] == ["p99.9", "p99", "p50"]
    assert [line.name for line in below.lines] == ["sent late", "lost"]
    assert [value for _, value in below.lines[0].points] == pytest.approx([0, 0, 0.03, 0.06])
    for plot in chart.plots:
        assert [(mark.place, mark.name) for mark in plot.marks] == [(200, "knee 200/s")]
        assert [(band.start, band.name, band.shaded) for band in plot.bands] == [(250, "too much", True)]


def test_a_rate_that_was_tried_again_counts_as_it_was_the_last_time() -> None:
    """One hiccup is not the knee."""
    tries = [
        step(100, latency=times(0.001)),
        step(200, latency=times(0.5), broken="p99 500 ms"),
        step(200, latency=times(0.002)),
    ]
    chart = latency.sweep(good(steps=tries))
    assert chart is not None
    assert [place for place, _ in chart.plots[0].lines[0].points] == [100, 200]
    assert not chart.plots[0].bands
    assert latency.sweep(good()) is None


def test_rates_that_multiply_stand_on_a_logarithmic_axis() -> None:
    """Those that add up on a linear one."""
    scales = []
    for rates in ([2.0**n for n in range(9)], [100.0 * n for n in range(1, 9)], [0.0, 1.0, 1000.0]):
        chart = latency.sweep(sweep(rates, kept=len(rates)))
        assert chart is not None
        scales.append(type(chart.plots[0].x.scale))
    assert scales == [Log, Linear, Linear]


@pytest.mark.parametrize(
    ("kept", "sentence", "shaded"),
    [
        (2, "The highest rate that was kept, the knee: 200 messages/s.", 1),
        (4, "Nothing broke up to 400 messages/s: the knee lies above.", 0),
        (0, "No knee was found: even 100 messages/s were too much.", 1),
    ],
)
def test_a_sweep_says_what_it_found(kept: int, sentence: str, shaded: int) -> None:
    """Whether or not there is a knee."""
    result = sweep([100.0, 200.0, 300.0, 400.0], kept=kept)
    chart = latency.sweep(result)
    assert chart is not None
    assert chart.note == sentence
    assert len(chart.plots[0].bands) == shaded


def test_a_step_without_messages_leaves_a_gap() -> None:
    """Neither latency nor shortfall can be told."""
    empty = step(0, latency=Percentiles(), latency_sent=Percentiles())
    chart = latency.sweep(good(steps=[empty, step(100, latency=times(0.001))]))
    assert chart is not None
    assert [plot.lines[0].points[0] for plot in chart.plots] == [(0, None), (0, None)]
