"""The report page: renders a result as one HTML file that loads nothing else."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache, partial
from importlib.resources import files
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from relay.loadtest.report import latency_charts, tables, traffic_charts
from relay.loadtest.report.drawing import HALF, NARROW, WIDE, Canvas, draw
from relay.loadtest.report.plot import Chart
from relay.loadtest.result.result import NO_PROFILE, Result
from relay.loadtest.result.verdict import ending, sentence
from relay.loadtest.units.formatting import NO_VALUE, count, counted

_TITLES: Final = {
    "faults": "Faults",
    "sweep": "Sweep",
    "storm": "Storm",
    "resumption": "Resumption",
    "latency": "Latency",
    "rates": "Rates",
    "connections": "Connections",
    "servers": "Servers",
    "generator": "The load test itself",
    "conditions": "Conditions",
}
"""Of the sections, in the order of the page."""

_THOUSANDS: Final = re.compile(r"(?<![\w.])\d{1,3}(?: \d{3})+(?!\d)")
_BEFORE_UNIT: Final = re.compile(r"(?<=\d) (?=(?:[nµm]?s|min|bytes|[KMGT]B|%)(?!\w))")


def write_report(result: Result, path: Path) -> None:
    """Write the report as one HTML file.

    Args:
        result: result of the run.
        path: path of the file; an existing file is replaced.
    """
    path.write_text(render(result), encoding="utf-8")


def render(result: Result) -> str:
    """Return the report as HTML."""
    environment = _environment()
    style = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template("page.html.jinja").render(
        result=result,
        heading="load test" if result.profile == NO_PROFILE else result.profile,
        style=Markup(style),  # noqa: S704  # the file beside this one
        style_digest=digest,
        contents=contents(result),
        ending=ending(result),
        sentence=sentence(result),
        summary=summary(result),
        tables=tables,
        set_conditions={name: value for name, value in result.conditions.items() if name not in result.defaults},
        no_value=NO_VALUE,
        latency_chart=latency_charts.of_headline(result),
        over_time=latency_charts.over_time(result),
        sweep=latency_charts.sweep(result),
        rates=traffic_charts.rates(result),
        handshakes=latency_charts.connecting(result),
        connections=traffic_charts.connections(result),
        spending=traffic_charts.spending(result),
    )


def summary(result: Result) -> str:
    """Return in one sentence what load the server was given."""
    sweep = len(result.steps) > 1
    rate = f"up to {count(max(step.rate for step in result.steps))}" if sweep else count(result.rate)
    load = f"{rate} messages/s of {count(result.size)} bytes" if result.rate or sweep else "no messages but a roll call"
    connections = [counted(number, noun) for number, noun in _connections(result) if number]
    return f"{' and '.join(connections)} on {counted(result.channels, 'channel')}, {load}"


def contents(result: Result) -> dict[str, str]:
    """Return the sections that the run gives reason for: id → title."""
    reasons = {
        "sweep": latency_charts.sweep(result),
        "storm": result.storm,
        "resumption": result.resumption,
        "rates": traffic_charts.rates(result),
        "servers": result.processes or result.redis,
        "conditions": result.conditions,
    }
    return {name: title for name, title in _TITLES.items() if reasons.get(name, True)}


def _connections(result: Result) -> tuple[tuple[int, str], ...]:
    return (result.clients, "client"), (result.publishers, "publisher")


def keep_together(text: str) -> str:
    """Return a text in which no line break separates a number's thousands, or a number from its unit."""
    narrow = _THOUSANDS.sub(lambda match: match[0].replace(" ", "\N{NARROW NO-BREAK SPACE}"), text)
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", narrow)


def _drawn(chart: Chart, canvas: Canvas) -> Markup:
    """Return the plots in two sizes; the page's style shows the one that fits the screen."""
    return Markup("\n").join(draw(chart, canvas) + draw(chart, NARROW))


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
    environment.filters["wide"] = partial(_drawn, canvas=WIDE)
    environment.filters["half"] = partial(_drawn, canvas=HALF)
    return environment
