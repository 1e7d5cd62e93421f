"""The report as a browser shows it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from relay.loadtest.report.page import write_report
from tests.harness.browser import Browser
from tests.loadtest.report.parts import HOSTILE
from tests.loadtest.report.results import SHAPES, bad, good, hostile, sweep

PHONE = 360


@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_of_any_shape_asks_for_nothing_and_fits_on_a_phone(browser: Browser, tmp_path: Path, shape: str) -> None:
    """No request but the file itself, nothing in the console, nothing to move sideways.

    No text in a plot is cut off or lies on another, here and on a large screen: names keep to places of their own.
    """
    file = tmp_path / "report.html"
    write_report(SHAPES[shape](), file)
    with browser.showing(file, width=PHONE) as view:
        assert [url for url in view.requests if url != "data:,"] == [file.as_uri()]
        assert view.complaints == []
        assert view.width == PHONE
        assert view.page.evaluate(_COLLISIONS) == []
        view.page.set_viewport_size({"width": 1100, "height": 800})
        assert view.width == 1100
        assert view.page.evaluate(_COLLISIONS) == []


def test_hostile_text_stays_text(browser: Browser, tmp_path: Path) -> None:
    """Names from the wire and from the command line are shown, not obeyed."""
    file = tmp_path / "report.html"
    write_report(hostile(), file)
    with browser.showing(file) as view:
        assert view.page.locator("img, script, body style").count() == 0
        assert view.page.locator("h1").inner_text().lower() == HOSTILE.lower()
        assert view.page.title() == f"Failed: {HOSTILE} \N{EN DASH} relay loadtest"


def test_a_style_that_got_in_would_not_be_obeyed(browser: Browser, tmp_path: Path) -> None:
    """The page allows its own style only, and no script at all."""
    file = tmp_path / "report.html"
    write_report(good(), file)
    intruder = (
        '<p id="intruder">here<style>#intruder { color: rgb(1, 2, 3) }</style><script>document.title = 1</script>'
    )
    file.write_text(file.read_text().replace("<footer>", intruder + "<footer>"))
    with browser.showing(file) as view:
        assert view.page.evaluate("getComputedStyle(document.getElementById('intruder')).color") != "rgb(1, 2, 3)"
        assert view.page.title() != "1"
        assert len(view.complaints) == 2


def test_dark_and_light_have_colours_of_their_own_and_paper_is_light(browser: Browser, tmp_path: Path) -> None:
    """Each pair of ink and paper has the contrast that small text needs."""
    file = tmp_path / "report.html"
    write_report(bad(), file)
    papers = []
    for dark, paper in ((False, False), (True, False), (True, True)):
        with browser.showing(file, dark=dark, paper=paper) as view:
            style = "getComputedStyle(document.body)"
            papers.append(_brightness(view.page.evaluate(f"{style}.backgroundColor")))
            ink = _brightness(view.page.evaluate(f"{style}.color"))
            assert (max(ink, papers[-1]) + 0.05) / (min(ink, papers[-1]) + 0.05) > 7
    assert papers[0] == papers[2] == 1
    assert papers[1] < 0.02


def test_each_plot_is_shown_once_in_the_size_that_suits(browser: Browser, tmp_path: Path) -> None:
    """Letters in a plot keep a readable size on a phone."""
    file = tmp_path / "report.html"
    write_report(sweep(), file)
    large, small = "svg.wide, svg.half", "svg.narrow"
    for width, shown, hidden in ((1100, large, small), (PHONE, small, large)):
        with browser.showing(file, width=width) as view:
            plots = view.page.locator(shown)
            assert all(plot.is_visible() for plot in plots.all())
            assert not any(plot.is_visible() for plot in view.page.locator(hidden).all())
            letter = view.page.evaluate(
                "shown => Math.min(...[...document.querySelectorAll(shown)].flatMap(plot =>"
                " [...plot.querySelectorAll('text')]).map(text => text.getBoundingClientRect().height))",
                shown,
            )
            assert letter > 10


def test_paper_has_no_closed_tables(browser: Browser, tmp_path: Path) -> None:
    """What can be opened on a screen is left out in print."""
    file = tmp_path / "report.html"
    write_report(good(), file)
    with browser.showing(file, paper=True) as view:
        assert not any(part.is_visible() for part in view.page.locator("details").all())
        assert view.page.locator("svg.half").first.is_visible()


_COLLISIONS = """[...document.querySelectorAll("svg.plot")].filter(plot => plot.checkVisibility()).flatMap(plot => {
  const frame = plot.getBoundingClientRect();
  const texts = [...plot.querySelectorAll("text")].map(text => [text.textContent, text.getBoundingClientRect()]);
  const cut = texts.filter(([_, box]) => box.left < frame.left - 1 || box.right > frame.right + 1);
  const touching = texts.flatMap(([name, box], number) => texts.slice(number + 1).filter(([_, other]) =>
    Math.min(box.right, other.right) - Math.max(box.left, other.left) > 1 &&
    Math.min(box.bottom, other.bottom) - Math.max(box.top, other.top) > 4
  ).map(([other]) => `${name} on ${other}`));
  return [...cut.map(([name]) => `${name} is cut off`), ...touching];
})"""


def _brightness(colour: str) -> float:
    """Return the relative luminance of a colour such as "rgb(18, 20, 23)"."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True)))
