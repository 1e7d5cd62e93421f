"""The report as a file."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from relay.loadtest.report.page import render, summary, write_report
from relay.loadtest.result.result import Result
from tests.loadtest.report.results import SHAPES, bad, good, hostile, interrupted, nothing, storm, sweep

ALWAYS = {"faults", "latency", "connections", "generator"}


class Elements(HTMLParser):
    """The elements of a page.

    Attributes:
        tags: in order.
        attributes: pairs of name and value.
        open: those that are still to be ended.
    """

    VOID = frozenset({"meta", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element."""
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take note of an element that ends at once."""
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        """Check that an element ends where it should."""
        assert self.open.pop() == tag

    @property
    def sections(self) -> set[str]:
        """Names of the parts of the page."""
        return {value for name, value in self.attributes if name == "id"}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_page_of_any_shape_is_well_formed_and_needs_nothing_else(shape: str) -> None:
    """No script, no address that a browser would ask for, no style but the one in its head."""
    text = render(SHAPES[shape]())
    page = Elements(text)
    assert page.open == []
    assert not {"script", "img", "iframe", "object", "embed", "form", "base"} & set(page.tags)
    assert page.tags.count("link") == page.tags.count("style") == 1
    loading = [
        value for name, value in page.attributes if name in {"src", "href", "srcset", "action", "data", "xlink:href"}
    ]
    contents = [value for value in loading if value.startswith("#")]
    assert loading == ["data:,", *contents]
    assert contents == [f"#{name}" for name, _ in sections(text)]
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert "url(" not in text
    assert "@import" not in text
    assert page.sections >= ALWAYS


def sections(text: str) -> list[tuple[str, str]]:
    """Return id and title of each section of a page."""
    return re.findall(r'<section id="(\w+)">\n<h2>([^<]+)</h2>', text)


def test_options_at_their_defaults_are_folded_away() -> None:
    """What tells this run from another stands open."""
    text = render(good(conditions={"Python": "3.11", "clients": "5 000", "drain": "10"}, defaults=["drain"]))
    head, folded = text.split("<summary>1 option as by default</summary>")
    assert 'scope="row">clients</th>' in head
    assert 'scope="row">drain</th>' not in head
    assert 'scope="row">drain</th>' in folded
    assert "as by default" not in render(good())


def test_the_page_forbids_itself_everything_but_its_own_style() -> None:
    """The style is known by its digest."""
    text = render(good())
    style = re.search(r"<style>(.*?)</style>", text, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    assert ("content", policy) in Elements(text).attributes


def test_text_from_the_run_cannot_become_markup() -> None:
    """Wherever it stands: there are the elements of a page without it, and no more."""
    text = render(hostile())
    assert "<img" not in text
    assert "<script" not in text
    assert text.count("&lt;img src=x onerror=") > 20
    page = Elements(text)
    assert page.open == []
    assert page.tags.count("title") == text.count("<title>")


@pytest.mark.parametrize(
    ("shape", "more"),
    [
        ("good", {"rates", "servers", "conditions"}),
        ("sweep", {"sweep", "rates", "servers", "conditions"}),
        ("resumed", {"resumption", "rates", "servers", "conditions"}),
        ("storm", {"storm", "rates", "servers", "conditions"}),
        ("idle", {"servers", "conditions"}),
        ("interrupted", {"conditions"}),
        ("nothing", set()),
    ],
)
def test_the_page_has_the_sections_that_the_run_gives_reason_for(shape: str, more: set[str]) -> None:
    """And no empty ones."""
    assert Elements(render(SHAPES[shape]())).sections == ALWAYS | more


def test_each_plot_is_an_image_with_a_text_and_each_chart_has_its_values() -> None:
    """In two sizes, of which the style shows one."""
    page = Elements(render(good()))
    labels = [value for name, value in page.attributes if name == "aria-label" and " at the end " in value]
    assert len(labels) == 2 * len(set(labels)) == page.attributes.count(("role", "img")) == page.tags.count("svg") - 1
    assert page.tags.count("details") == page.tags.count("figure") == 6


def test_faults_and_warnings_come_before_everything_else() -> None:
    """Reasons, warnings, counts and the first faults."""
    text = render(bad())
    order = [
        "Failed</p>",
        "51 connections ended",
        "Take the figures with care",
        "a worker used 97\N{NO-BREAK SPACE}%",
        "Lost</dt>",
    ]
    order += ["12\N{NARROW NO-BREAK SPACE}318</td>", "The first faults", "ws://127.0.0.1:8001", 'id="latency"']
    places = [text.index(part) for part in order]
    assert places == sorted(places)


def test_a_run_without_faults_says_so_calmly() -> None:
    """No table of noughts."""
    text = render(good())
    assert "Nothing lost, duplicated, reordered" in text
    assert "The first faults" not in text
    assert "Take the figures with care" not in text


@pytest.mark.parametrize(
    ("result", "ending", "sentence"),
    [
        (good(), "passed", "Every message reached every receiver, once and in order."),
        (bad(), "failed", None),
        (interrupted(), "interrupted", "The run was ended early"),
    ],
)
def test_the_page_says_how_the_run_ended(result: Result, ending: str, sentence: str | None) -> None:
    """In its title, as a colour, and in a sentence unless there are reasons."""
    text = render(result)
    assert f"<title>{ending.capitalize()}: " in text
    assert ("class", f"verdict {ending}") in Elements(text).attributes
    assert sentence is None or f"<p>{sentence}" in text


def test_the_summary_says_what_was_asked_of_the_server() -> None:
    """Who, where, how much."""
    assert summary(good()) == "5 000 clients and 20 publishers on 50 channels, 2 000 messages/s of 128 bytes"
    assert summary(sweep()).endswith("up to 45 255 messages/s of 128 bytes")
    assert summary(good(clients=0, publishers=1, channels=1, rate=0.0)) == (
        "1 publisher on 1 channel, no messages but a roll call"
    )
    assert Elements(render(storm())).open == Elements(render(nothing())).open


def test_the_file_is_written_as_utf_8(tmp_path: Path) -> None:
    """Whatever the machine's own encoding is; a former one is replaced."""
    file = tmp_path / "report.html"
    file.write_text("old")
    write_report(good(profile="Grüße"), file)
    assert file.read_text(encoding="utf-8") == render(good(profile="Grüße"))
    assert "<h1>Grüße</h1>" in file.read_text(encoding="utf-8")
