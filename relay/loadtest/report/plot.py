"""Plots before they are drawn: axes, lines and marks, the same in words and as a table, and the time axis of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from relay.loadtest.report.scale import Scale, Time
from relay.loadtest.result.result import Phase, Result
from relay.loadtest.units.formatting import NO_VALUE, clock

Point = tuple[float, float | None]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One direction of a plot.

    Args:
        name: heading of the axis.
        scale: its range.
        tick: formats a round value beside the axis.
        show: formats any value, for tables and read-outs.
    """

    name: str
    scale: Scale
    tick: Callable[[float], str]
    show: Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class Line:
    """Values along the horizontal axis.

    Args:
        name: short name, shown at its end.
        points: place and value, places rising; a value of None interrupts the line.
        style: number of its colour and pattern; lines of one plot differ in it.
        dots: whether each point has a dot.
    """

    name: str
    points: Sequence[Point]
    style: int
    dots: bool = False


@dataclass(frozen=True, kw_only=True)
class Band:
    """A named range of the horizontal axis; it may be shaded."""

    start: float
    end: float
    name: str
    shaded: bool


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A named place on the horizontal axis."""

    place: float
    name: str


@dataclass(frozen=True, kw_only=True)
class Plot:
    """Lines over common axes."""

    x: Axis
    y: Axis
    lines: Sequence[Line]
    bands: Sequence[Band] = ()
    marks: Sequence[Mark] = ()

    @property
    def words(self) -> str:
        """The plot in words, for people who can't see it."""
        parts = [f"{self.y.name} by {self.x.name.lower()}.", *(self._line_words(line) for line in self.lines)]
        parts += [f"Marked at {self.x.show(mark.place)}: {mark.name}." for mark in self.marks]
        return " ".join(parts)

    def _line_words(self, line: Line) -> str:
        values = [value for _, value in line.points if value is not None]
        if not values:
            return f"{line.name}: no values."
        lowest, highest, last = (self.y.show(value) for value in (min(values), max(values), values[-1]))
        if lowest == highest:
            return f"{line.name}: {lowest}."
        return f"{line.name}: {lowest} to {highest}, at the end {last}."


@dataclass(frozen=True, kw_only=True)
class Table:
    """Texts in rows; the first column names the row."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Plots that belong together, one above the other, over the same horizontal axis.

    Args:
        name: heading.
        note: what to look for.
        plots: at least one.
    """

    name: str
    note: str
    plots: Sequence[Plot] = field(default_factory=list)

    @property
    def table(self) -> Table:
        """All values of all plots."""
        x = self.plots[0].x
        names: list[str] = []
        rows: dict[str, dict[int, str]] = {}
        for plot in self.plots:
            for line in plot.lines:
                for place, value in line.points:
                    if value is not None:
                        rows.setdefault(x.show(place), {})[len(names)] = plot.y.show(value)
                names.append(line.name)
        order = {x.show(place): place for plot in self.plots for line in plot.lines for place, _ in line.points}
        body = [
            (place, *(rows[place].get(column, NO_VALUE) for column in range(len(names))))
            for place in sorted(rows, key=lambda place: order[place])
        ]
        return Table(columns=(x.name, *names), rows=body)


@dataclass(frozen=True, kw_only=True)
class RunTimeAxis:
    """The horizontal axis that most charts share: the seconds of the run, with its phases and events.

    Args:
        axis: the axis, in seconds since the run's start.
        bands: the phases; all but the measure phase are shaded.
        marks: the events, such as a storm.
    """

    axis: Axis
    bands: Sequence[Band]
    marks: Sequence[Mark]


def run_time_axis(result: Result) -> RunTimeAxis:
    """Return the time axis of a run."""
    moments = [sample.moment for process in result.processes for sample in process.samples]
    end = max([*(moment.second + 1.0 for moment in result.moments), *moments], default=0.0)
    axis = Axis(name="Time since the start", scale=Time(end), tick=clock, show=clock)
    bands = []
    for phase, group in groupby(result.moments, key=lambda moment: moment.phase):
        seconds = [moment.second for moment in group]
        shaded = phase is not Phase.MEASURE
        bands.append(Band(start=seconds[0], end=seconds[-1] + 1.0, name=phase.value, shaded=shaded))
    marks = [] if result.storm is None else [Mark(place=result.storm.moment, name="storm")]
    return RunTimeAxis(axis=axis, bands=bands, marks=marks)
