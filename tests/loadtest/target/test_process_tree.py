"""Reading a process and its children."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from relay.loadtest.target import process_tree
from relay.loadtest.target.process_tree import ProcessTree, ProcessTreeError
from tests.harness.busy_process import BusyProcess
from tests.harness.conditions import wait_until_blocking

CLOSE = 0.004
"""Seconds by which a reading may be off: a clock tick is 10 ms."""


@pytest.fixture
def server() -> Iterator[BusyProcess]:
    """A process that stands for a server."""
    with BusyProcess() as process:
        yield process


def cpu(tree: ProcessTree) -> float:
    """Return the CPU seconds of a process that is there."""
    reading = tree.read(exact=True)
    assert reading is not None
    return reading[0]


def resident(tree: ProcessTree, *, exact: bool = True) -> int:
    """Return the resident bytes of a process that is there."""
    reading = tree.read(exact=exact)
    assert reading is not None
    return reading[1]


def test_cpu_time_is_read_finely(server: BusyProcess) -> None:
    """A short run must not drown in clock ticks."""
    tree = ProcessTree(server.pid)
    before = cpu(tree)
    server.burn(0.033)
    assert cpu(tree) - before == pytest.approx(0.033, abs=CLOSE)


@pytest.mark.parametrize("exact", [True, False])
def test_memory_is_read(server: BusyProcess, exact: bool) -> None:
    """What the kernel keeps in RAM."""
    tree = ProcessTree(server.pid)
    before = resident(tree, exact=exact)
    server.hoard(50_000_000)
    assert resident(tree, exact=exact) - before == pytest.approx(50_000_000, rel=0.05)


def test_children_are_counted_with_their_parent(server: BusyProcess) -> None:
    """Also those that are started later."""
    tree = ProcessTree(server.pid)
    before, alone = cpu(tree), resident(tree)
    server.fork(0.05)
    assert cpu(tree) - before == pytest.approx(0.05, abs=2 * CLOSE)
    assert resident(tree) > alone * 1.5


def test_what_an_ended_child_used_stays_counted(server: BusyProcess) -> None:
    """CPU time never goes down."""
    child = server.fork(0.05)
    tree = ProcessTree(server.pid)
    before, memory = cpu(tree), resident(tree)
    server.reap(child)
    assert cpu(tree) >= before
    assert resident(tree) < memory


def test_new_children_are_looked_for_now_and_then(server: BusyProcess) -> None:
    """Not each time: it takes reading the whole process table."""
    tree = ProcessTree(server.pid)
    memory = resident(tree)
    server.fork(0)
    readings = [tree.read() for _ in range(process_tree.SEARCH_EVERY)]
    found = [reading[1] > memory * 1.5 for reading in readings if reading is not None]
    assert (found[0], found[-1]) == (False, True)


def test_a_child_that_is_watched_by_itself_is_not_counted_twice(server: BusyProcess) -> None:
    """As with `--pid` of all that pgrep finds."""
    child = server.fork(0.05)
    parent, alone = ProcessTree(server.pid), ProcessTree(server.pid, frozenset({server.pid, child}))
    assert cpu(parent) - cpu(alone) == pytest.approx(0.05, abs=2 * CLOSE)
    assert resident(alone) < resident(parent)


def test_a_process_that_has_ended_reads_as_nothing(server: BusyProcess) -> None:
    """As a zombie and when it is gone."""
    tree = ProcessTree(server.pid)
    server.end(wait=False)
    wait_until_blocking(lambda: psutil.Process(server.pid).status() == psutil.STATUS_ZOMBIE)
    assert tree.read() is None
    server.end()
    assert tree.read() is None


def test_a_process_that_ends_while_it_is_read_reads_as_nothing(
    server: BusyProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look still found it."""
    tree = ProcessTree(server.pid)
    server.end()
    monkeypatch.setattr(psutil.Process, "is_running", lambda _self: True)
    monkeypatch.setattr(psutil.Process, "status", lambda _self: psutil.STATUS_RUNNING)
    assert tree.read() is None


def test_a_child_that_ends_while_it_is_read_is_left_out(server: BusyProcess) -> None:
    """Between two searches for children."""
    child = server.fork(0)
    tree = ProcessTree(server.pid)
    server.reap(child)
    assert tree.read() is not None


def test_a_child_that_ends_in_the_search_is_left_out(server: BusyProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was in the process table when it was read."""
    child = psutil.Process(server.fork(0))
    tree = ProcessTree(server.pid)
    server.reap(child.pid)
    monkeypatch.setattr(psutil.Process, "children", lambda _self, recursive: [child])
    monkeypatch.setattr(child, "ppid", _gone)
    assert tree.read(exact=True) is not None


def _gone() -> int:
    raise psutil.NoSuchProcess(0)


@pytest.mark.parametrize("pid", [999_999_999, 2**70, -1])
def test_a_process_that_is_not_there_is_refused(pid: int) -> None:
    """Before the run, with its number."""
    with pytest.raises(ProcessTreeError, match=f"process {pid}: there is no such process"):
        ProcessTree(pid)


def test_an_ended_process_is_refused(server: BusyProcess) -> None:
    """A zombie still has a number."""
    server.end(wait=False)
    wait_until_blocking(lambda: psutil.Process(server.pid).status() == psutil.STATUS_ZOMBIE)
    with pytest.raises(ProcessTreeError, match="there is no such process"):
        ProcessTree(server.pid)


def test_a_process_of_somebody_else_may_be_out_of_sight(monkeypatch: pytest.MonkeyPatch) -> None:
    """On macOS; on Linux everybody may look."""

    def refuse(self: psutil.Process) -> object:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "memory_info", refuse)
    with pytest.raises(ProcessTreeError, match="this user may not look at it: run as its user, or as root"):
        ProcessTree(os.getpid())


def test_other_systems_have_coarser_readings(server: BusyProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the clocks and files of Linux."""

    def refuse(*_arguments: object) -> float:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(time, "clock_gettime", refuse)
    monkeypatch.setattr(Path, "read_text", refuse)
    tree = ProcessTree(server.pid)
    before = cpu(tree)
    server.burn(0.1)
    assert cpu(tree) - before == pytest.approx(0.1, abs=0.03)
    assert resident(tree) > 1_000_000
