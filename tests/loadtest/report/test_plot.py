"""A plot in words and as a table."""

from __future__ import annotations

from relay.loadtest.report.plot import Axis, Chart, Line, Mark, Plot
from relay.loadtest.report.scale import Linear


def axis(name: str) -> Axis:
    """Return an axis of whole numbers."""
    return Axis(name=name, scale=Linear([10]), tick="{:.0f}".format, show="{:.0f}".format)


def plot(*lines: Line, marks: list[Mark] | None = None) -> Plot:
    """Return a plot of sheep by day."""
    return Plot(x=axis("Day"), y=axis("Sheep"), lines=lines, marks=marks or [])


def test_its_words_tell_the_range_and_the_end_of_each_line() -> None:
    """For people who can't see it."""
    lines = (
        Line(name="white", points=[(1, 4), (2, None), (3, 9), (4, 5)], style=0),
        Line(name="black", points=[(1, 2), (2, 2)], style=1),
        Line(name="blue", points=[(1, None)], style=2),
    )
    assert plot(*lines, marks=[Mark(place=3, name="shearing")]).words == (
        "Sheep by day. white: 4 to 9, at the end 5. black: 2. blue: no values. Marked at 3: shearing."
    )


def test_its_table_joins_all_plots_by_the_horizontal_axis() -> None:
    """What a line doesn't have is left open."""
    white = plot(Line(name="white", points=[(2, 4), (10, 5), (11, None)], style=0))
    black = plot(Line(name="black", points=[(9, 1), (10, 2)], style=0))
    table = Chart(name="Flock", note="", plots=[white, black]).table
    assert table.columns == ("Day", "white", "black")
    assert table.rows == [("2", "4", "\N{EN DASH}"), ("9", "\N{EN DASH}", "1"), ("10", "5", "2")]
