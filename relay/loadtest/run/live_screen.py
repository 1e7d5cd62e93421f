"""The live display of a run on a terminal; a line now and then in a pipe or a log."""

from __future__ import annotations

import select
import time
from typing import IO, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from relay.loadtest.result.result import Phase
from relay.loadtest.run.run_state import RunState
from relay.loadtest.units.formatting import count, duration

REDRAW_SECONDS: Final = 0.25
LINE_SECONDS: Final = 5.0
"""Interval of the lines in a pipe or a log, where there is no live table."""

_COLUMNS: Final = ("phase", "time", "connected", "offered/s", "sent/s", "delivered/s", "p50", "p99", "faults")
_RESUMING_COLUMNS: Final = ("phase", "time", "connected", "resumed", "sent/s", "delivered/s", "p50", "p99", "faults")


class LiveScreen:
    """Shows one run. A context manager; on exit the live table is gone.

    Args:
        console: on standard error, so that a pipe from standard output gets the results alone.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._shown = 0.0

    def __enter__(self) -> LiveScreen:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, state: RunState) -> None:
        """Show the state if it is time to, and if writing doesn't hold up the run."""
        now = time.monotonic()
        if not _is_writable(self._console.file):
            return
        if self._live is not None:
            if now - self._shown >= REDRAW_SECONDS:
                self._shown = now
                self._live.update(Group(_live_table(state), _progress(state)), refresh=True)
        elif now - self._shown >= LINE_SECONDS:
            self._shown = now
            cells = zip(_columns(state), _cells(state), strict=True)
            line = ", ".join([*(f"{name} {cell}" for name, cell in cells), _time_left(state)])
            self._console.print(line, highlight=False, soft_wrap=True)


def _is_writable(file: IO[str]) -> bool:
    """Return whether a line can be written without waiting for the reader of a pipe, or for a paused terminal."""
    try:
        return bool(select.select([], [file.fileno()], [], 0)[1])
    except (OSError, ValueError):  # a file in memory
        return True


def _columns(state: RunState) -> tuple[str, ...]:
    return _RESUMING_COLUMNS if state.plan.resume else _COLUMNS


def _cells(state: RunState) -> tuple[str, ...]:
    """Return the row of the live table."""
    totals = state.totals
    # The figures of the last whole second but one: latencies of the last one may still be under way.
    second = int(state.elapsed) - 2
    latency = totals.latency(second)
    faults = totals.faults
    counts = {
        # Some of the messages that are missing now may only be late.
        "lost": faults.lost,
        "duplicated": faults.duplicated,
        "reordered": faults.reordered,
        "foreign": faults.foreign,
        "unexpected": faults.unexpected,
        "closed": sum(faults.closed.values()),
        "refused": sum(faults.refused.values()),
        # Not faults, but who looks on wants to know.
        "notices of missed": totals.notices,
    }
    return (
        state.phase.value,
        f"{state.elapsed:.0f} s",
        f"{totals.connected}/{state.wanted}",
        count(totals.resumed if state.plan.resume else state.offered[second]),
        count(totals.sent[second]),
        count(totals.delivered[second]),
        duration(latency[0] if latency else None),
        duration(latency[1] if latency else None),
        " ".join(f"{count(times)} {name}" for name, times in counts.items() if times) or "none",
    )


def _time_left(state: RunState) -> str:
    """Return in words how long the run will go on."""
    if state.interrupted:
        return "ends early"
    if state.phase in (Phase.DRAIN, Phase.CLOSE):
        return f"waits for late messages, at most {state.plan.drain:.0f} s"
    left = state.left
    if left is None:
        return f"step {len(state.steps)} of a sweep, which ends when one breaks"
    return f"about {left:.0f} s left" if state.plan.rate else f"about {left:.0f} s left, and a roll call"


def _progress(state: RunState) -> Table:
    """Return a bar of the time that has gone, and how much is left in words."""
    left = state.left
    row = Table.grid(padding=(0, 1, 0, 0))
    # Without an end it pulses: a sweep goes on until a step breaks.
    total = None if left is None else max(state.elapsed + left, 0.1)
    row.add_row(ProgressBar(total=total, completed=state.elapsed, width=40, pulse=left is None), _time_left(state))
    return row


def _live_table(state: RunState) -> Table:
    # One space between columns: the row has to fit on 80 columns.
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
    for column in _columns(state)[:-1]:
        table.add_column(column, justify="left" if column == "phase" else "right", min_width=7, no_wrap=True)
    table.add_column(_columns(state)[-1])
    table.add_row(*_cells(state))
    return table
