"""The page: what a result says, in the order in which people ask."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from relay.loadtest.report import latency_charts as latency
from relay.loadtest.report import tables as figures
from relay.loadtest.report import traffic_charts as traffic
from relay.loadtest.report.drawing import NARROW, WIDE, draw
from relay.loadtest.report.plot import Chart
from relay.loadtest.report.spacing import keep_together
from relay.loadtest.result.result import Result
from relay.loadtest.result.verdict import ending, sentence
from relay.loadtest.units.formatting import NOTHING, count, counted


def write_report(result: Result, path: Path) -> None:
    """Write the report as one HTML file.

    Args:
        result: what the run showed.
        path: of the file; one that is there is replaced.
    """
    path.write_text(render(result), encoding="utf-8")


def render(result: Result) -> str:
    """Return the report as HTML."""
    environment = _environment()
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("page.html.jinja").render(
        result=result,
        style=Markup(style),
        style_digest=digest,
        ending=ending(result),
        sentence=sentence(result),
        summary=summary(result),
        figures=figures,
        nothing=NOTHING,
        latency_chart=_latency_spectra(result),
        over_time=latency.over_time(result),
        sweep=latency.sweep(result),
        rates=traffic.rates(result),
        handshakes=_handshakes(result),
        connections=traffic.connections(result),
        spending=traffic.spending(result),
    )


def summary(result: Result) -> str:
    """Return what was asked of the server, in one sentence."""
    sweep = len(result.steps) > 1
    rate = f"up to {count(max(step.rate for step in result.steps))}" if sweep else count(result.rate)
    load = f"{rate} messages/s of {count(result.size)} bytes" if result.rate or sweep else "no messages but a roll call"
    people = [counted(number, noun) for number, noun in _people(result) if number]
    return f"{' and '.join(people)} on {counted(result.channels, 'channel')}, {load}"


def _people(result: Result) -> tuple[tuple[int, str], ...]:
    return (result.clients, "client"), (result.publishers, "publisher")


def _latency_spectra(result: Result) -> Chart | None:
    step = result.headline
    if step is None:
        return None
    return latency.spectra(
        [("since due", step.latency), ("since sent", step.latency_sent)],
        name="Latency, percentile by percentile",
        note="Counted from the moment when a message was due, so that a stall counts for every message that it held "
        "up, and beside it from the moment when it was sent. Where the lines part, the messages went out late.",
        what="Latency",
    )


def _handshakes(result: Result) -> Chart | None:
    times = [("ramp", result.connects.handshake)]
    if result.storm is not None:
        times.append(("storm", result.storm.handshake))
    return latency.spectra(
        times,
        name="Time to connect, percentile by percentile",
        note="From the beginning of a connection until it is subscribed.",
        what="Time to connect",
    )


def _drawn(chart: Chart) -> Markup:
    """Return the plots in two sizes; the page's style shows the one that suits the screen."""
    return Markup("\n").join(draw(chart, WIDE) + draw(chart, NARROW))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__, "."),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: keep_together(value) if type(value) is str else value,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["drawn"] = _drawn
    return environment
