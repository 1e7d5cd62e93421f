"""What a terminal shows: a live table while a run goes on, a summary at its end."""

from __future__ import annotations

import select
import time
from collections.abc import Iterator
from typing import IO, Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from relay.loadtest.result.faults import Incident
from relay.loadtest.result.result import Percentiles, Result
from relay.loadtest.result.verdict import Ending, ending, sentence
from relay.loadtest.run.coordinator import Coordinator
from relay.loadtest.units.formatting import NOTHING, causes, count, counted, duration, share, size
from relay.redaction import escape_controls

REDRAW_SECONDS: Final = 0.25
LINE_SECONDS: Final = 5.0
"""In a pipe or a log there is a line so often instead of a live table."""

_COLUMNS: Final = ("phase", "time", "connected", "offered/s", "sent/s", "delivered/s", "p50", "p99", "faults")
_STYLES: Final = {Ending.PASSED: "bold green", Ending.FAILED: "bold red", Ending.INTERRUPTED: "yellow"}


class Screen:
    """Shows one run. A context manager.

    Args:
        console: where to; standard error, so that a pipe gets nothing but what was asked for.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._shown = 0.0

    def __enter__(self) -> Screen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, run: Coordinator) -> None:
        """Show where a run stands, if it is time to, and if that doesn't hold up the run."""
        now = time.monotonic()
        if not _takes_more(self._console.file):
            return
        if self._live is not None:
            if now - self._shown >= REDRAW_SECONDS:
                self._shown = now
                self._live.update(_live_table(run), refresh=True)
        elif now - self._shown >= LINE_SECONDS:
            self._shown = now
            cells = zip(_COLUMNS, _cells(run), strict=True)
            self._console.print(", ".join(f"{name} {cell}" for name, cell in cells), highlight=False, soft_wrap=True)


def _takes_more(file: IO[str]) -> bool:
    """Return whether a line can be written without waiting for the reader of a pipe, or for a paused terminal."""
    try:
        return bool(select.select([], [file.fileno()], [], 0)[1])
    except (OSError, ValueError):  # in memory
        return True


def _cells(run: Coordinator) -> tuple[str, ...]:
    """Return the row of the live table, of the last whole second."""
    tally = run.tally
    # Latencies of the second before may still be under way.
    second = int(run.elapsed) - 2
    latency = tally.latency(second)
    faults = tally.faults
    counts = {
        # Of what is missing now, some may just be late.
        "lost": faults.lost,
        "duplicated": faults.duplicated,
        "reordered": faults.reordered,
        "foreign": faults.foreign,
        "unexpected": faults.unexpected,
        "closed": sum(faults.closed.values()),
        "refused": sum(faults.refused.values()),
    }
    return (
        run.phase.value,
        f"{run.elapsed:.0f} s",
        f"{tally.connected}/{run.wanted}",
        count(run.offered[second]),
        count(tally.sent[second]),
        count(tally.delivered[second]),
        duration(latency[0] if latency else None),
        duration(latency[1] if latency else None),
        " ".join(f"{count(times)} {name}" for name, times in counts.items() if times) or "none",
    )


def _live_table(run: Coordinator) -> Table:
    # One space between columns: the row has to fit on 80 columns.
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for column in _COLUMNS[:-1]:
        table.add_column(column, justify="left" if column == "phase" else "right", min_width=7, no_wrap=True)
    table.add_column(_COLUMNS[-1])
    table.add_row(*_cells(run))
    return table


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
    if said := sentence(result):
        kind = Ending.INTERRUPTED if result.interrupted else ending(result)
        lines.append(Text(f"{kind.value.capitalize()}. {said}", style=_STYLES[kind]))
    return lines


def _table(*columns: str, first: str = "dim") -> Table:
    """Return a table of figures below each other, after a column of names; `first` is the style of that."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for number, column in enumerate(columns):
        if number:
            table.add_column(column, justify="right", no_wrap=True)
        else:
            table.add_column(column, style=first)
    return table


def _times(result: Result) -> Table:
    """Return the percentiles of everything that took its time, latency from the due time first."""
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
        # What a server said must not become markup.
        table.add_row(name, Text(text))
    return table


def _facts(result: Result) -> Iterator[tuple[str, str]]:
    connects, faults, generator = result.connects, result.faults, result.generator
    rate = f", {count(connects.rate)}/s" if connects.seconds else ""
    yield "connections", f"{count(connects.made)} of {count(connects.wanted)}{rate}"
    if connects.sessions > connects.made:
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
            NOTHING if per_connection is None else f"{duration(per_connection)}/s",
            size(process.rss_per_connection),
            size(process.samples[-1].rss_bytes if process.samples else None),
        )
    return table


def _incidents(result: Result) -> RenderableType:
    """Return the first faults, one a row: when, what, who."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right", no_wrap=True)
    for incident in result.faults.incidents:
        table.add_row(f"{incident.moment:.3f} s", Text(describe(incident)))
    return Group(Text("first faults", style="dim"), table)


def describe(incident: Incident) -> str:
    """Return what happened to whom in one fault."""
    parts = [f"{incident.fault.value}: client {incident.client} at {incident.url}"]
    if incident.channel:
        parts[0] += f" in {incident.channel}"
    if incident.publisher is not None:
        parts.append(f"publisher {incident.publisher}")
    if incident.first is not None:
        more = f" to {incident.last}" if incident.last not in (None, incident.first) else ""
        parts.append(f"message {incident.first}{more}")
    return ", ".join(parts) + (f" ({escape_controls(incident.text)})" if incident.text else "")
