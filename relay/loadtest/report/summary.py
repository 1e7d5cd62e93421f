"""The summary of a run on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from relay.loadtest.result.faults import Incident
from relay.loadtest.result.result import Percentiles, Result
from relay.loadtest.result.verdict import Ending, ending, resumption_words, sentence
from relay.loadtest.units.formatting import NO_VALUE, causes, count, counted, duration, share, size
from relay.redaction import escape_controls

_STYLES: Final = {Ending.PASSED: "bold green", Ending.FAILED: "bold red", Ending.INTERRUPTED: "yellow"}


def summary(result: Result) -> RenderableType:
    """Return the summary of a run."""
    times = _times(result)
    blocks: list[RenderableType] = [times] if times.row_count else []
    if len(result.steps) > 1:
        blocks.append(_steps(result))
    blocks.append(_figures(result))
    if result.processes:
        blocks.append(_processes(result))
    if result.faults.incidents:
        blocks.append(_incidents(result))
    lines: list[RenderableType] = []
    for block in blocks:
        lines += [block, Text()]
    lines += [Text(f"Warning: {warning}", style="yellow") for warning in result.generator.warnings]
    return Group(*lines, *_verdict(result))


def _verdict(result: Result) -> list[Text]:
    lines = [Text(f"Failed: {reason}", style=_STYLES[Ending.FAILED]) for reason in result.verdict]
    if text := sentence(result):
        shown = Ending.INTERRUPTED if result.interrupted else ending(result)
        lines.append(Text(f"{shown.value.capitalize()}. {text}", style=_STYLES[shown]))
    return lines


def _table(*columns: str, first: str = "dim") -> Table:
    """Return an empty table: a column of names in the style `first`, then columns of figures."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        if number:
            table.add_column(column, justify="right", no_wrap=True)
        else:
            table.add_column(column, style=first)
    return table


def _times(result: Result) -> Table:
    """Return the percentiles of all latencies and lags, latency from the due time first."""
    table = _table("", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean")
    step = result.headline
    rows: list[tuple[str, Percentiles]] = []
    if step is not None:
        rows += [("latency", step.latency), ("since sent", step.latency_sent)]
    rows.append(("connecting", result.connects.handshake))
    if result.storm is not None:
        rows.append(("reconnecting", result.storm.handshake))
    rows += [("sent late by", result.generator.send_lag), ("loops late by", result.generator.lag)]
    for name, times in rows:
        if times.count:
            values = (times.p50, times.p90, times.p99, times.p99_9, times.p99_99, times.max, times.mean)
            table.add_row(name, *(duration(value) for value in values))
    return table


def _steps(result: Result) -> Table:
    table = _table("messages/s", "deliveries/s", "p50", "p99", "lost", first="")
    table.columns[0].justify = "right"
    table.add_column()
    for number, step in enumerate(result.steps):
        table.add_row(
            count(step.rate),
            count(step.delivered / step.seconds if step.seconds else None),
            *(duration(value if step.latency.count else None) for value in (step.latency.p50, step.latency.p99)),
            count(max(0, step.expected - step.delivered)),
            Text("the knee" if number == result.knee else step.broken),
            style="bold" if number == result.knee else "red" if step.broken else "",
        )
    return table


def _figures(result: Result) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, text in _facts(result):
        # Texts of a server must not become markup.
        table.add_row(name, Text(text))
    return table


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    connects, faults, generator = result.connects, result.faults, result.generator
    rate = f", {count(connects.rate)}/s" if connects.seconds else ""
    yield "connections", f"{count(connects.made)} of {count(connects.wanted)}{rate}"
    if (resumption := result.resumption) is not None:
        kinds = f"{counted(resumption.events, 'event stream')} and {counted(resumption.polls, 'polling client')}"
        yield "resuming", f"{kinds}: {resumption_words(result)}, {counted(resumption.notices, 'notice')}"
    elif connects.sessions > connects.made:
        missed = counted(faults.missed, "delivery", "deliveries")
        yield "sessions", f"{count(connects.sessions)}, {missed} missed while away"
    if (storm := result.storm) is not None:
        back = "not all came back" if storm.seconds is None else f"all back in {duration(storm.seconds)}"
        yield "storm", f"{counted(storm.clients, 'client')}, {back}"
    if (step := result.headline) is not None and step.offered:
        yield "messages", f"{count(step.sent)} of {count(step.offered)} sent in time, {count(step.rate)}/s"
        yield "deliveries", f"{count(step.delivered)} of {count(step.expected)}, {count(result.delivery_rate)}/s"
    elif result.delivered:
        yield "roll call", counted(result.delivered, "delivery", "deliveries")
    counts = {
        "lost": faults.lost,
        "duplicated": faults.duplicated,
        "out of order": faults.reordered,
        "foreign": faults.foreign,
        "unexpected": faults.unexpected,
    }
    yield "faults", ", ".join(f"{count(times)} {name}" for name, times in counts.items())
    if faults.returned:
        yield "came back", causes(faults.returned)
    if faults.slow_closed:
        yield "too slow", causes(faults.slow_closed)
    if (redis := result.redis) is not None:
        cost = f", {duration(redis.cpu_per_message)} CPU per message" if redis.cpu_per_message else ""
        yield "Redis", f"{share(redis.cpu_share)} of a core{cost}, {count(redis.commands_rate)} commands/s"
    cost = f", {duration(generator.cpu_per_delivery)} CPU per delivery" if generator.cpu_per_delivery else ""
    workers = counted(generator.workers, "worker")
    yield "load test", f"{workers}, the busiest {share(generator.cpu_share)} of a core{cost}"


def _processes(result: Result) -> Table:
    table = _table("", "CPU/delivery", "CPU/connection", "memory/connection", "memory")
    for process in result.processes:
        per_connection = process.cpu_per_connection
        table.add_row(
            Text(process.name),
            duration(process.cpu_per_delivery),
            NO_VALUE if per_connection is None else f"{duration(per_connection)}/s",
            size(process.rss_per_connection),
            size(process.samples[-1].rss_bytes if process.samples else None),
        )
    return table


def _incidents(result: Result) -> RenderableType:
    """Return the first faults, one per row."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    for incident in result.faults.incidents:
        table.add_row(f"{incident.moment:.3f} s", Text(describe(incident)))
    return Group(Text("first faults", style="dim"), table)


def describe(incident: Incident) -> str:
    """Return one fault in words: what happened, to which client, with which message."""
    parts = [f"{incident.fault.value}: client {incident.client} at {incident.url}"]
    if incident.channel:
        parts[0] += f" in {incident.channel}"
    if incident.publisher is not None:
        parts.append(f"publisher {incident.publisher}")
    if incident.first is not None:
        more = f" to {incident.last}" if incident.last not in (None, incident.first) else ""
        parts.append(f"message {incident.first}{more}")
    return ", ".join(parts) + (f" ({escape_controls(incident.text)})" if incident.text else "")
