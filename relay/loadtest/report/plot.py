"""A plot before it is drawn: axes, lines and marks, and the same in words and as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from relay.loadtest.report.scale import Scale
from relay.loadtest.units.formatting import NOTHING

Point = tuple[float, float | None]


@dataclass(frozen=True, kw_only=True)
class Axis:
    """One direction of a plot.

    Args:
        name: what it shows, for people.
        scale: its range.
        mark: how a round value is written beside it.
        say: how any value is written in tables and read-outs.
    """

    name: str
    scale: Scale
    mark: Callable[[float], str]
    say: Callable[[float], str]


@dataclass(frozen=True, kw_only=True)
class Line:
    """Values along the horizontal axis.

    Args:
        name: short; stands at its end.
        points: rising; the line is broken where the value is None.
        style: which colour and pattern; lines of one plot have different ones.
        dots: whether each point is shown.
    """

    name: str
    points: Sequence[Point]
    style: int
    dots: bool = False


@dataclass(frozen=True, kw_only=True)
class Band:
    """A part of the horizontal axis with a name over it; a shaded one is set apart."""

    start: float
    end: float
    name: str
    shaded: bool


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A place on the horizontal axis with a name over it."""

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
        """What it shows, for people who can't see it."""
        parts = [f"{self.y.name} by {self.x.name.lower()}.", *(self._in_words(line) for line in self.lines)]
        parts += [f"Marked at {self.x.say(mark.place)}: {mark.name}." for mark in self.marks]
        return " ".join(parts)

    def _in_words(self, line: Line) -> str:
        values = [value for _, value in line.points if value is not None]
        if not values:
            return f"{line.name}: no values."
        lowest, highest, last = (self.y.say(value) for value in (min(values), max(values), values[-1]))
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
                        rows.setdefault(x.say(place), {})[len(names)] = plot.y.say(value)
                names.append(line.name)
        order = {x.say(place): place for plot in self.plots for line in plot.lines for place, _ in line.points}
        body = [
            (place, *(rows[place].get(column, NOTHING) for column in range(len(names))))
            for place in sorted(rows, key=lambda place: order[place])
        ]
        return Table(columns=(x.name, *names), rows=body)
