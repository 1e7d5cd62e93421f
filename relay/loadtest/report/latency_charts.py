"""Latency charts: percentile spectra, the latency second by second, and a sweep."""

from __future__ import annotations

from collections.abc import Sequence

from relay.loadtest.report.plot import Axis, Band, Chart, Line, Mark, Plot, Point, run_time_axis
from relay.loadtest.report.scale import Linear, Log, Scale, Tail
from relay.loadtest.result.result import Percentiles, Result, Second, Step
from relay.loadtest.result.verdict import knee_sentence
from relay.loadtest.units import formatting


def spectra(times: Sequence[tuple[str, Percentiles]], *, name: str, note: str, what: str) -> Chart | None:
    """Return the chart of distributions over a percentile axis that spreads the highest percentiles.

    Args:
        times: names and distributions.
        name: heading of the chart.
        note: what to look for in it.
        what: name of the vertical axis.

    Returns:
        None without any value.
    """
    lines = [
        Line(name=short, points=_spectrum(each), style=style) for style, (short, each) in enumerate(times) if each.count
    ]
    if not lines:
        return None
    finite = [place for line in lines for place, _ in line.points if place < 100]
    rarest = 100 * (1 - 1 / max(each.count for _, each in times))
    scale = Tail(max([*finite, rarest]))
    x = Axis(name="Percentile", scale=scale, tick=formatting.percentile, show=formatting.percentile)
    return Chart(name=name, note=note, plots=[Plot(x=x, y=_times(what, lines), lines=lines)])


def of_headline(result: Result) -> Chart | None:
    """Return the chart of the headline step's latencies; None without any."""
    step = result.headline
    if step is None:
        return None
    return spectra(
        [("since due", step.latency), ("since sent", step.latency_sent)],
        name="Latency, percentile by percentile",
        note="Counted from the moment when a message was due, so that a stall counts for every message that it held "
        "up, and beside it from the moment when it was sent. Where the lines part, the messages went out late.",
        what="Latency",
    )


def connecting(result: Result) -> Chart | None:
    """Return the chart of the time that connecting took; None without any connection."""
    times = [("ramp", result.connects.handshake)]
    if result.storm is not None:
        times.append(("storm", result.storm.handshake))
    return spectra(
        times,
        name="Time to connect, percentile by percentile",
        note="From the beginning of a connection until it is subscribed.",
        what="Time to connect",
    )


def over_time(result: Result) -> Chart | None:
    """Return the chart of the latency second by second; None without any."""
    moments = result.moments
    lines = [
        Line(name="p99.9", points=[(_middle(moment), moment.p99_9) for moment in moments], style=2),
        Line(name="p99", points=[(_middle(moment), moment.p99) for moment in moments], style=1),
        Line(name="p50", points=[(_middle(moment), moment.p50) for moment in moments], style=0),
    ]
    if all(value is None for line in lines for _, value in line.points):
        return None
    time = run_time_axis(result)
    plot = Plot(x=time.axis, y=_times("Latency", lines), lines=lines, bands=time.bands, marks=time.marks)
    return Chart(
        name="Latency second by second",
        note="Each point covers the messages that were due in that second. A stall shows as a peak that decays.",
        plots=[plot],
    )


def sweep(result: Result) -> Chart | None:
    """Return the chart of latency and shortfall against rate; None unless several rates were tried."""
    if len(result.steps) < 2:
        return None
    # A rate that was too much is tried again: what counts is the last try.
    steps = sorted({step.rate: step for step in result.steps}.values(), key=lambda step: step.rate)
    latencies = [
        Line(name="p99.9", points=_by_rate(steps, "p99_9"), style=2, dots=True),
        Line(name="p99", points=_by_rate(steps, "p99"), style=1, dots=True),
        Line(name="p50", points=_by_rate(steps, "p50"), style=0, dots=True),
    ]
    shortfalls = [
        Line(name="sent late", points=[(s.rate, _missing(s.sent, s.offered)) for s in steps], style=4, dots=True),
        Line(name="lost", points=[(s.rate, _missing(s.delivered, s.expected)) for s in steps], style=3, dots=True),
    ]
    rates = [step.rate for step in steps]
    crowded = rates[0] > 0 and rates[len(rates) // 2] < (3 * rates[0] + rates[-1]) / 4
    scale: Scale = Log(rates) if crowded else Linear(rates)
    x = Axis(name="Messages/s asked for", scale=scale, tick=formatting.count_tick, show=formatting.count)
    falls = [value for line in shortfalls for _, value in line.points if value is not None]
    y = Axis(name="Shortfall", scale=Linear(falls, least=0.01), tick=formatting.share_tick, show=formatting.share)
    knee = result.steps[result.knee].rate if result.knee is not None else None
    marks = [] if knee is None else [Mark(place=knee, name=f"knee {formatting.count(knee)}/s")]
    bands = _too_much(steps, scale.high)
    return Chart(
        name="How far it goes",
        note=knee_sentence(result),
        plots=[
            Plot(x=x, y=_times("Latency", latencies), lines=latencies, bands=bands, marks=marks),
            Plot(x=x, y=y, lines=shortfalls, bands=bands, marks=marks),
        ],
    )


def _spectrum(times: Percentiles) -> list[Point]:
    """Return the points of a distribution: its spectrum, or its named percentiles when it has none."""
    named = ((50.0, times.p50), (90.0, times.p90), (99.0, times.p99), (99.9, times.p99_9), (99.99, times.p99_99))
    return list(times.spectrum or (*named, (100.0, times.max)))


def _times(name: str, lines: Sequence[Line]) -> Axis:
    values = [value for line in lines for _, value in line.points if value is not None]
    return Axis(
        name=f"{name} (logarithmic)", scale=Log(values), tick=formatting.duration_tick, show=formatting.duration
    )


def _middle(moment: Second) -> float:
    return moment.second + 0.5


def _by_rate(steps: Sequence[Step], name: str) -> list[Point]:
    return [(step.rate, getattr(step.latency, name) if step.latency.count else None) for step in steps]


def _missing(got: int, wanted: int) -> float | None:
    return max(0.0, 1 - got / wanted) if wanted else None


def _too_much(steps: Sequence[Step], end: float) -> list[Band]:
    """Return the band of the rates that were too much, above all kept rates."""
    highest_kept = max((step.rate for step in steps if not step.broken), default=None)
    broken = [step.rate for step in steps if step.broken and (highest_kept is None or step.rate > highest_kept)]
    if not broken:
        return []
    start = broken[0] if highest_kept is None else (highest_kept + broken[0]) / 2
    return [Band(start=start, end=end, name="too much", shaded=True)]
