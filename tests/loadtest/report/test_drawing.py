"""Plots as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from relay.loadtest.report.drawing import NARROW, STYLES, WIDE, Canvas, class_of, draw
from relay.loadtest.report.plot import Axis, Band, Chart, Line, Mark, Plot
from relay.loadtest.report.scale import Linear
from tests.loadtest.report.parts import HOSTILE


def chart(lines: Sequence[Line], bands: Sequence[Band] = (), marks: Sequence[Mark] = (), name: str = "Sheep") -> Chart:
    """Return a chart of one plot, 0 to 12 by 0 to 12."""
    x, y = (Axis(name=each, scale=Linear([10]), tick="{:g}".format, show="{:g}".format) for each in ("Day", name))
    return Chart(name=name, note="", plots=[Plot(x=x, y=y, lines=lines, bands=bands, marks=marks)])


def drawn(given: Chart, canvas: Canvas = WIDE) -> ElementTree.Element:
    """Return the only drawing of a chart."""
    (text,) = draw(given, canvas)
    return ElementTree.fromstring(str(text))  # noqa: S314  # drawn by the line above


def texts(svg: ElementTree.Element, kind: str) -> list[str]:
    """Return the texts of a class."""
    return [text.text or "" for text in svg.iter("text") if kind in (text.get("class") or "").split()]


def paths(svg: ElementTree.Element, kind: str) -> list[str]:
    """Return the outlines of a class, but not the pieces of a line beside its name."""
    found = [path.get("d", "") for path in svg.iter("path") if kind in (path.get("class") or "").split()]
    return [path for path in found if kind != "line" or "L" in path]


def test_a_line_is_broken_where_it_has_no_value() -> None:
    """A gap is no straight line between its ends; what stands alone is a dot."""
    points = [(0, 1), (1, 2), (2, None), (3, 4), (4, None), (5, 6), (6, 7), (7, None)]
    svg = drawn(chart([Line(name="white", points=points, style=0)]))
    (path,) = paths(svg, "line")
    assert (path.count("M"), path.count("L")) == (2, 2)
    assert len(list(svg.iter("circle"))) == 1


def test_a_line_with_dots_shows_each_point() -> None:
    """Few measured points are told from what joins them."""
    svg = drawn(chart([Line(name="white", points=[(0, 1), (1, 2), (2, None)], style=0, dots=True)]))
    assert len(list(svg.iter("circle"))) == 2


def test_points_are_where_the_axes_say() -> None:
    """The origin is the lower left corner."""
    svg = drawn(chart([Line(name="white", points=[(0, 0), (12, 12)], style=0)]))
    (path,) = paths(svg, "line")
    (left, bottom), (right, top) = (map(float, point.split()) for point in path.removeprefix("M").split("L"))
    assert left == WIDE.left
    assert right > left
    assert bottom - top == pytest.approx(WIDE.height, abs=0.2)


def test_each_line_has_its_name_at_its_end_and_none_lies_on_another() -> None:
    """Though all of them end at the same value."""
    lines = [Line(name=f"line {number}", points=[(0, number), (9, 0)], style=number) for number in range(5)]
    svg = drawn(chart(lines))
    assert sorted(texts(svg, "name")) == [f"line {number}" for number in range(5)]
    places = sorted(float(text.get("y", "")) for text in svg.iter("text") if "name" in (text.get("class") or ""))
    assert all(after - before > WIDE.type for before, after in pairwise(places))


def test_names_beyond_the_room_are_left_out_or_shortened() -> None:
    """Of very many lines the highest are named, and a very long name ends in dots."""
    lines = [Line(name=f"a name of great length {n}", points=[(0, n / 10)], style=n) for n in range(60)]
    named = texts(drawn(chart(lines), NARROW), "name")
    assert 10 < len(named) < 20
    assert all(name.endswith("…") for name in named)


def test_lines_differ_in_pattern_or_colour_beyond_the_number_of_both() -> None:
    """The first ones in both."""
    classes = [class_of(number).split() for number in range(STYLES * STYLES)]
    assert len({tuple(pair) for pair in classes}) == STYLES * STYLES
    assert len({colour for colour, _ in classes[:STYLES]}) == len({dash for _, dash in classes[:STYLES]}) == STYLES


def test_bands_and_marks_have_names_in_rows_of_their_own() -> None:
    """Only what is set apart is shaded; short neighbours are named one below the other."""
    bands = [
        Band(start=0, end=0.2, name="ramp", shaded=True),
        Band(start=0.2, end=0.4, name="settle", shaded=True),
        Band(start=0.4, end=10, name="measure", shaded=False),
    ]
    svg = drawn(chart([], bands, [Mark(place=5, name="storm")]))
    assert sum(rect.get("class") == "band" for rect in svg.iter("rect")) == 2
    assert texts(svg, "edge") == ["ramp", "settle", "measure"]
    assert texts(svg, "mark") == ["storm"]
    heights = {text.text: text.get("y") for text in svg.iter("text")}
    assert heights["ramp"] != heights["settle"]


def test_a_name_without_any_row_is_left_out() -> None:
    """Rather than written over another."""
    bands = [Band(start=0.01 * n, end=0.01 * n + 0.01, name=f"phase {n}", shaded=True) for n in range(9)]
    assert len(texts(drawn(chart([], bands)), "edge")) == 3


def test_a_pointer_reads_the_values_of_all_lines() -> None:
    """On wide screens, where pointers are; of very many points some."""
    lines = [
        Line(name="white", points=[(1, 3), (2, 4)], style=0),
        Line(name="black", points=[(1, 2), (2, None)], style=1),
    ]
    read_outs = [title.text for title in drawn(chart(lines)).iter("title")]
    assert read_outs == ["1\nwhite: 3\nblack: 2", "2\nwhite: 4"]
    assert not list(drawn(chart(lines), NARROW).iter("title"))
    many = [Line(name="white", points=[(n / 100, 1) for n in range(1000)], style=0)]
    assert 100 < len(list(drawn(chart(many)).iter("title"))) <= 240


def test_values_of_the_horizontal_axis_have_room() -> None:
    """Where they are long they are fewer."""
    x = Axis(name="Day", scale=Linear([10]), tick="the {:g}th day of some month".format, show="{:g}".format)
    y = Axis(name="Sheep", scale=Linear([1]), tick="{:g}".format, show="{:g}".format)
    plots = Chart(name="", note="", plots=[Plot(x=x, y=y, lines=[])])
    assert len(texts(drawn(plots), "middle")) == 3
    assert len(texts(drawn(plots, NARROW), "middle")) < 3


def test_it_says_what_it_shows_and_escapes_it() -> None:
    """As an image with a text, whatever that text holds."""
    svg = drawn(
        chart([Line(name=HOSTILE, points=[(0, 1), (1, 2)], style=0)], [], [Mark(place=1, name=HOSTILE)], HOSTILE)
    )
    assert svg.get("role") == "img"
    assert (svg.get("aria-label") or "").startswith(f"{HOSTILE} by day. {HOSTILE}: 1 to 2")
    assert {element.tag for element in svg.iter()} <= {"svg", "g", "path", "rect", "circle", "text", "title"}
