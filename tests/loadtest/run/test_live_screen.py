"""The live screen shows the state of a run, and never holds it up."""

from __future__ import annotations

import os
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from relay.loadtest.plan.plan import Dialect, Plan
from relay.loadtest.result.faults import Faults
from relay.loadtest.result.result import Phase
from relay.loadtest.run import live_screen as module
from relay.loadtest.run.live_screen import LiveScreen
from relay.loadtest.run.measured_step import MeasuredStep
from relay.loadtest.run.run_state import RunState
from tests.loadtest.progress_reports import make_progress, times


def make_run(resume: bool = False) -> RunState:
    """Return a run of 5 clients at which something has happened in its third second."""
    plan = Plan(urls=("ws://h",), dialect=Dialect(), clients=5, rate=10.0, resume=resume)
    state = RunState(plan)
    state.epoch -= 5_100_000_000
    state.steps.append(MeasuredStep(plan, 2, 0, 10.0, 3))
    state.totals.add(
        0,
        make_progress(
            5,
            connected=4,
            resumed=17 * resume,
            notices=2 * resume,
            sent_by_second={3: 9},
            delivered_by_second={3: 44},
            latencies=[(3, times(*[1500] * 44), times())],
            faults=Faults(lost=1, duplicated=2, closed={"reset": 3}, refused={"HTTP 503": 4}),
        ),
    )
    return state


def figures(text: str) -> list[str]:
    """Return the words of a row of the live table."""
    return text.split()


def test_a_line_now_and_then_shows_where_a_run_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a log, not in a terminal."""
    monkeypatch.setattr(module, "LINE_SECONDS", 1000.0)
    output = StringIO()
    with LiveScreen(Console(file=output, width=40)) as screen:
        screen._shown = -1e9
        screen.show(make_run())
        screen.show(make_run())
    (line,) = output.getvalue().splitlines()
    for figure in (
        "phase ramp",
        "time 5 s",
        "connected 4/6",
        "offered/s 10",
        "sent/s 9",
        "delivered/s 44",
        "p50 1.50 ms",
    ):
        assert figure in line
    assert line.endswith("faults 1 lost 2 duplicated 3 closed 4 refused, about 13 s left")


def test_clients_that_resume_are_counted() -> None:
    output = StringIO()
    with LiveScreen(Console(file=output, width=40)) as screen:
        screen._shown = -1e9
        screen.show(make_run(resume=True))
    (line,) = output.getvalue().splitlines()
    assert "connected 4/6, resumed 17, sent/s 9" in line
    assert "4 refused 2 notices of missed, about" in line


def test_a_terminal_has_a_table_that_is_gone_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REDRAW_SECONDS", 0.0)
    output = StringIO()
    with LiveScreen(Console(file=output, width=120, force_terminal=True, color_system=None)) as screen:
        screen.show(make_run())
        drawn = output.getvalue()
        monkeypatch.setattr(module, "REDRAW_SECONDS", 1000.0)
        screen.show(make_run())
    for figure in ("connected", "4/6", "44", "1.50 ms", "1 lost 2 duplicated 3 closed 4 refused", "━", "13 s left"):
        assert figure in drawn
    assert output.getvalue().startswith(drawn)


def test_a_run_without_anything_has_a_row_too() -> None:
    plan = Plan(urls=("ws://h",), dialect=Dialect())
    state = RunState(plan)
    output = StringIO()
    with LiveScreen(Console(file=output, width=120)) as screen:
        screen._shown = -1e9
        screen.show(state)
    assert "connected 0/101" in output.getvalue()
    assert "faults none, about" in output.getvalue()


@pytest.mark.parametrize(
    ("phase", "changes", "words"),
    [
        (Phase.SETTLE, {}, "about 13 s left"),
        (Phase.WARM_UP, {}, "about 12 s left"),
        (Phase.MEASURE, {}, "about 10 s left"),
        (Phase.MEASURE, {"rate": 0.0}, "about 10 s left, and a roll call"),
        (Phase.MEASURE, {"sweep": True}, "step 0 of a sweep, which ends when one breaks"),
        (Phase.DRAIN, {}, "waits for late messages, at most 10 s"),
    ],
)
def test_the_time_left_is_told_in_words(phase: Phase, changes: dict[str, Any], words: str) -> None:
    """As planned: a server that is slow to take clients makes it longer."""
    state = RunState(Plan(urls=("ws://h",), dialect=Dialect(), **changes), lambda: 0)
    state.enter(phase)
    output = StringIO()
    with LiveScreen(Console(file=output, width=120)) as screen:
        screen._shown = -1e9
        screen.show(state)
    assert output.getvalue().strip().endswith(words)


def test_a_run_that_was_interrupted_ends_early() -> None:
    state = make_run()
    state.interrupted = True
    output = StringIO()
    with LiveScreen(Console(file=output, width=120)) as screen:
        screen._shown = -1e9
        screen.show(state)
    assert output.getvalue().strip().endswith("ends early")


def test_a_pipe_that_is_not_read_does_not_hold_up_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lines are left out until there is room."""
    monkeypatch.setattr(module, "LINE_SECONDS", 0.0)
    source, end = os.pipe()
    state = make_run()
    with open(source, "rb", buffering=0) as unread, open(end, "w", buffering=1) as pipe:
        os.set_blocking(source, False)
        with LiveScreen(Console(file=pipe, width=40)) as screen:
            for _ in range(2000):  # 300 KB, and a pipe holds 64
                screen.show(state)
            assert unread.read(1 << 20)
            screen.show(state)
        assert unread.read(1 << 20).startswith(b"phase ramp")
