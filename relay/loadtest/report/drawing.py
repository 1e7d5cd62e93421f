"""Draws plots as SVG. Colours are the page's: each element has a class, and the style sheet gives it its look."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from relay.loadtest.report.plot import Chart, Line, Plot

STYLES = 6
"""Number of colours, and of patterns, in the page's style."""

_LETTER = 0.64
"""Width of an average letter relative to the font size, in the widest of the common typefaces."""

_BOLD_LETTER = 0.72
_GAP = 8.0
"""Gap between an axis and its values."""

_MOST_READ_OUTS = 240
_MOST_TICKS = 11
_ROWS_OF_NAMES = 3


@dataclass(frozen=True, kw_only=True)
class Canvas:
    """Sizes of a drawing, in pixels of its view box.

    Args:
        name: class of the drawing.
        width: width of the whole drawing.
        height: height of the area between the axes.
        type: font size.
        left: least width for the values of the vertical axis.
        names: greatest width for the names of the lines, at the right.
        sample: length of the line sample beside each name.
        read_outs: whether the pointer shows the values at its place.
    """

    name: str
    width: float
    height: float
    type: float
    left: float
    names: float
    sample: float
    read_outs: bool


WIDE = Canvas(name="wide", width=880, height=260, type=13, left=64, names=150, sample=20, read_outs=True)
HALF = Canvas(name="half", width=424, height=170, type=12, left=58, names=120, sample=14, read_outs=True)
NARROW = Canvas(name="narrow", width=340, height=210, type=12, left=58, names=112, sample=14, read_outs=False)


def draw(chart: Chart, canvas: Canvas) -> list[Markup]:
    """Return the plots of a chart as SVG elements, their horizontal axes in line with each other."""
    values = [plot.y.tick(value) for plot in chart.plots for value in _levels(plot, canvas)]
    left = max(canvas.left, max(map(len, values)) * canvas.type * _LETTER + _GAP)
    longest = max((len(line.name) for plot in chart.plots for line in plot.lines), default=0)
    names = min(canvas.sample + 11 + longest * canvas.type * _BOLD_LETTER, canvas.names)
    return [_Drawing(plot, canvas, left, canvas.width - names).drawn() for plot in chart.plots]


def class_of(style: int) -> str:
    """Return the classes of a line's style: a colour and a pattern, in pairs that repeat as late as possible."""
    return f"c{style % STYLES} d{(style + style // STYLES) % STYLES}"


@dataclass(frozen=True, kw_only=True)
class _OverheadName:
    """A name over the plot: centred in its band where it fits, otherwise beside a line that leads to its place."""

    text: str
    kind: str
    row: int
    middle: float
    line: float
    inside: bool


class _Drawing:
    def __init__(self, plot: Plot, canvas: Canvas, left: float, right: float) -> None:
        self._plot = plot
        self._canvas = canvas
        self._left = left
        self._right = right
        self._names_over = list(self._stacked())
        rows = 1 + max((name.row for name in self._names_over), default=-1)
        self._row = canvas.type * 1.25
        self._top = canvas.type * 2.1 + rows * self._row
        self._bottom = self._top + canvas.height
        self._height = self._bottom + canvas.type * 3.4

    def drawn(self) -> Markup:
        inside = Markup("").join([*self._bands(), *self._grid(), *self._lines(), *self._names(), *self._read_outs()])
        return Markup(
            '<svg class="plot {}" viewBox="0 0 {} {}" role="img" aria-label="{}" font-size="{}">{}</svg>'
        ).format(
            self._canvas.name, _px(self._canvas.width), _px(self._height), self._plot.words, self._canvas.type, inside
        )

    def _x(self, value: float) -> float:
        return self._left + self._plot.x.scale.place(value) * (self._right - self._left)

    def _y(self, value: float) -> float:
        return self._bottom - self._plot.y.scale.place(value) * (self._bottom - self._top)

    def _stacked(self) -> Iterator[_OverheadName]:
        """Give each name over the plot a row in which it touches no other; leave a name out when no row has room."""
        over = [(self._x(band.start), self._x(band.end), "edge", band.name) for band in self._plot.bands]
        over += [(self._x(mark.place), self._x(mark.place), "mark", mark.name) for mark in self._plot.marks]
        ends = [-math.inf] * _ROWS_OF_NAMES
        for begin, end, kind, name in sorted(over):
            width = len(name) * self._canvas.type * _LETTER
            fits = width + 8 < end - begin
            start = (begin + end - width) / 2 if fits else min(begin + 4, self._canvas.width - width)
            row = next((row for row, taken in enumerate(ends) if start > taken + 6), None)
            if row is not None:
                ends[row] = start + width
                yield _OverheadName(text=name, kind=kind, row=row, middle=start + width / 2, line=begin, inside=fits)

    def _bands(self) -> Iterator[Markup]:
        for band in self._plot.bands:
            start, end = self._x(band.start), self._x(band.end)
            if band.shaded and end > start:
                yield Markup('<rect class="band" x="{}" y="{}" width="{}" height="{}"/>').format(
                    _px(start), _px(self._top), _px(end - start), _px(self._bottom - self._top)
                )
        for name in self._names_over:
            y = self._canvas.type * 1.8 + (name.row + 0.75) * self._row
            top = self._top if name.inside else y - self._canvas.type * 0.75
            yield Markup('<path class="{}" d="M{} {}V{}"/>').format(
                name.kind, _px(name.line), _px(top), _px(self._bottom)
            )
            yield Markup('<text class="{} {}" x="{}" y="{}">{}</text>').format(
                name.kind,
                "middle" if name.inside else "",
                _px(name.middle if name.inside else name.line + 4),
                _px(y),
                name.text,
            )

    def _grid(self) -> Iterator[Markup]:
        plot, letters = self._plot, self._canvas.type
        yield Markup('<text class="axis" x="0" y="{}">{}</text>').format(_px(letters), plot.y.name)
        for value in _levels(plot, self._canvas):
            y = self._y(value)
            yield Markup('<path class="grid" d="M{} {}H{}"/>').format(_px(self._left), _px(y), _px(self._right))
            yield Markup('<text class="value end" x="{}" y="{}">{}</text>').format(
                _px(self._left - _GAP), _px(y + letters * 0.35), plot.y.tick(value)
            )
        yield Markup('<path class="base" d="M{} {}H{}"/>').format(_px(self._left), _px(self._bottom), _px(self._right))
        for value in self._ticks():
            x = self._x(value)
            yield Markup('<path class="base" d="M{} {}v5"/>').format(_px(x), _px(self._bottom))
            yield Markup('<text class="value middle" x="{}" y="{}">{}</text>').format(
                _px(x), _px(self._bottom + 7 + letters), plot.x.tick(value)
            )
        yield Markup('<text class="axis end" x="{}" y="{}">{}</text>').format(
            _px(self._right), _px(self._height - letters * 0.45), plot.x.name
        )

    def _ticks(self) -> list[float]:
        """Return as many round values of the horizontal axis as fit side by side."""
        x = self._plot.x
        for limit in range(_MOST_TICKS, 2, -1):
            ticks = x.scale.ticks(limit)
            needed = (max(len(x.tick(tick)) for tick in ticks) + 2) * self._canvas.type * _LETTER
            if all(self._x(after) - self._x(before) >= needed for before, after in pairwise(ticks)):
                return ticks
        return x.scale.ticks(2)

    def _lines(self) -> Iterator[Markup]:
        for line in self._plot.lines:
            style = class_of(line.style)
            runs = list(_runs(line))
            path = "".join(self._path(run) for run in runs if len(run) > 1)
            if path:
                yield Markup('<path class="line {}" d="{}"/>').format(style, path)
            for run in runs:
                for x, y in run if line.dots or len(run) == 1 else ():
                    yield Markup('<circle class="dot {}" cx="{}" cy="{}" r="3.5"/>').format(
                        style, _px(self._x(x)), _px(self._y(y))
                    )

    def _path(self, run: Sequence[tuple[float, float]]) -> str:
        return "M" + "L".join(f"{_px(self._x(x))} {_px(self._y(y))}" for x, y in run)

    def _names(self) -> Iterator[Markup]:
        """Write each line's name at its end with a sample of the line, without overlaps."""
        ends = [
            (next(y for _, y in reversed(line.points) if y is not None), line)
            for line in self._plot.lines
            if _has_values(line)
        ]
        ends.sort(key=lambda pair: -self._plot.y.scale.place(pair[0]))
        step = self._canvas.type * 1.3
        ends = ends[: int((self._bottom - self._top) / step)]
        places = _spread([self._y(value) for value, _ in ends], step, self._top + 4, self._bottom)
        room = self._canvas.width - self._right - self._canvas.sample - 11
        most = int(room / (self._canvas.type * _BOLD_LETTER) + 0.01)
        for (_, line), y in zip(ends, places, strict=True):
            x = self._right + 6
            style = class_of(line.style)
            yield Markup('<path class="line {}" d="M{} {}h{}"/>').format(
                style, _px(x), _px(y), _px(self._canvas.sample)
            )
            name = line.name if len(line.name) <= most else line.name[: most - 1] + "…"
            yield Markup('<text class="name {}" x="{}" y="{}">{}</text>').format(
                style, _px(x + self._canvas.sample + 5), _px(y + self._canvas.type * 0.35), name
            )

    def _read_outs(self) -> Iterator[Markup]:
        if not self._canvas.read_outs:
            return
        values: dict[float, list[str]] = {}
        for line in self._plot.lines:
            for x, value in line.points:
                if value is not None:
                    values.setdefault(x, []).append(f"{line.name}: {self._plot.y.show(value)}")
        places = sorted(values)[:: math.ceil(len(values) / _MOST_READ_OUTS) or 1]
        for number, place in enumerate(places):
            x = self._x(place)
            before = (self._x(places[number - 1]) + x) / 2 if number else self._left
            after = (self._x(places[number + 1]) + x) / 2 if number + 1 < len(places) else self._right
            yield Markup('<g class="read"><rect x="{}" y="{}" width="{}" height="{}"/>').format(
                _px(before), _px(self._top), _px(after - before), _px(self._bottom - self._top)
            )
            yield Markup('<path d="M{} {}V{}"/><title>{}</title></g>').format(
                _px(x), _px(self._top), _px(self._bottom), "\n".join([self._plot.x.show(place), *values[place]])
            )


def _levels(plot: Plot, canvas: Canvas) -> list[float]:
    """Return the values of the vertical axis that have a label."""
    return plot.y.scale.ticks(int(canvas.height / (canvas.type * 2.6)))


def _has_values(line: Line) -> bool:
    return any(value is not None for _, value in line.points)


def _runs(line: Line) -> Iterator[list[tuple[float, float]]]:
    """Yield the parts of a line between its gaps."""
    run: list[tuple[float, float]] = []
    for x, y in line.points:
        if y is not None:
            run.append((x, y))
        elif run:
            yield run
            run = []
    if run:
        yield run


def _spread(places: Sequence[float], step: float, top: float, bottom: float) -> list[float]:
    """Return the places (rising) moved apart to at least `step`, between `top` and `bottom`."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + step if moved else top))
    limit = bottom
    for number in range(len(moved) - 1, -1, -1):
        moved[number] = min(moved[number], limit)
        limit = moved[number] - step
    return moved


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
