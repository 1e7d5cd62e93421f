"""Traffic charts: messages, deliveries, connections, and the CPU and memory that the servers spent on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final

from relay.loadtest.report.plot import Axis, Chart, Line, Plot, Point, RunTimeAxis, run_time_axis
from relay.loadtest.report.scale import Linear, Scale
from relay.loadtest.result.result import Phase, Process, Result, Second
from relay.loadtest.units import formatting

_WITH_MESSAGES: Final = (Phase.WARM_UP, Phase.MEASURE)


def rates(result: Result) -> Chart | None:
    """Return the chart of offered, sent and delivered rates; None when no message was due."""
    moments = result.moments
    if not any(moment.offered or moment.sent or moment.delivered for moment in moments):
        return None
    time = run_time_axis(result)
    messages = [
        Line(name="offered", points=_each(moments, lambda moment: moment.offered), style=5),
        Line(name="sent", points=_each(moments, lambda moment: moment.sent), style=0),
    ]
    deliveries = [Line(name="delivered", points=_each(moments, lambda moment: moment.delivered), style=0)]
    offered, expected = (sum(getattr(step, name) for step in result.steps) for name in ("offered", "expected"))
    if offered and expected:
        points = _each(moments, lambda moment: moment.offered * expected / offered)
        deliveries.insert(0, Line(name="expected", points=points, style=5))
    return Chart(
        name="Offered, sent, delivered",
        note="Sent falls behind offered when the generator or the server can't take the rate; delivered is counted "
        "at the receivers, one for each of them.",
        plots=[_over_time(time, "Messages/s", messages), _over_time(time, "Deliveries/s", deliveries)],
    )


def connections(result: Result) -> Chart | None:
    """Return the chart of the subscribed connections; None without seconds."""
    if not result.moments:
        return None
    points = [(moment.second + 1.0, float(moment.connected)) for moment in result.moments]
    line = Line(name="connected", points=[(0.0, 0.0), *points], style=0)
    return Chart(
        name="Connections second by second",
        note="Those that were subscribed at the end of each second.",
        plots=[_over_time(run_time_axis(result), "Connections", [line])],
    )


def spending(result: Result) -> Chart | None:
    """Return the chart of the processor time and memory of each server process; None without samples."""
    processes = [process for process in result.processes if process.samples]
    if not processes:
        return None
    time = run_time_axis(result)
    cpu = [Line(name=each.name, points=_cpu(each), style=style) for style, each in enumerate(processes)]
    memory = [
        Line(name=each.name, points=[(sample.moment, float(sample.rss_bytes)) for sample in each.samples], style=style)
        for style, each in enumerate(processes)
    ]
    cpu_axis = Axis(
        name="CPU (100 % is one core)", scale=_fit(cpu, least=0.1), tick=formatting.share_tick, show=formatting.share
    )
    memory_axis = Axis(name="Memory (RSS)", scale=_fit(memory), tick=formatting.size_tick, show=formatting.size)
    plots = [Plot(x=time.axis, y=memory_axis, lines=memory, bands=time.bands, marks=time.marks)]
    if _values(cpu):  # a value takes two samples
        plots.insert(0, Plot(x=time.axis, y=cpu_axis, lines=cpu, bands=time.bands, marks=time.marks))
    return Chart(
        name="CPU and memory of the servers", note="One line for each process, its children included.", plots=plots
    )


def _over_time(time: RunTimeAxis, name: str, lines: Sequence[Line]) -> Plot:
    y = Axis(name=name, scale=_fit(lines), tick=formatting.count_tick, show=formatting.count)
    return Plot(x=time.axis, y=y, lines=lines, bands=time.bands, marks=time.marks)


def _each(moments: Iterable[Second], number: Callable[[Second], float]) -> list[Point]:
    """Return a number for each second; None in phases without messages where it is 0."""
    return [
        (moment.second + 0.5, float(number(moment)) or (0.0 if moment.phase in _WITH_MESSAGES else None))
        for moment in moments
    ]


def _cpu(process: Process) -> list[Point]:
    """Return the cores that a process kept busy between two samples each; never negative, even if a child has ended."""
    return [
        (
            (before.moment + after.moment) / 2,
            max(0.0, (after.cpu_seconds - before.cpu_seconds) / (after.moment - before.moment)),
        )
        for before, after in pairwise(process.samples)
        if after.moment > before.moment
    ]


def _fit(lines: Iterable[Line], least: float = 0.0) -> Scale:
    return Linear(_values(lines), least=least)


def _values(lines: Iterable[Line]) -> list[float]:
    return [value for line in lines for _, value in line.points if value is not None]
