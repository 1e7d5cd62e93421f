"""CPU and memory of a server's process tree: the process and all its descendants, as one."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import psutil

from relay.errors import RelayError

SEARCH_EVERY: Final = 10
"""Reads between two searches for new children; a search reads the whole process table."""


class ProcessTreeError(RelayError):
    """A process that can't be watched.

    Args:
        pid: process id as given.
        problem: why it can't be watched.
    """

    def __init__(self, pid: int, problem: str) -> None:
        super().__init__(pid, problem)
        self.pid = pid
        self.problem = problem

    def __str__(self) -> str:
        return f"process {self.pid}: {self.problem}"


class ProcessTree:
    """The use of a process and its descendants; CPU time of descendants that have ended stays counted.

    Args:
        pid: process id.
        apart: pids that are watched by themselves; descendants among them are left out.

    Raises:
        ProcessTreeError: there is no such process, or this user may not read it.
    """

    def __init__(self, pid: int, apart: frozenset[int] = frozenset()) -> None:
        self.pid = pid
        self._apart = apart
        self._children: list[psutil.Process] = []
        self._cpu: dict[psutil.Process, float] = {}
        self._reads = 0
        try:
            self._process = psutil.Process(pid)
            ended = self.read() is None
        except psutil.AccessDenied:
            problem = "this user may not look at it: run as its user, or as root"
            raise ProcessTreeError(pid, problem) from None
        except (psutil.NoSuchProcess, ValueError, OverflowError):
            ended = True
        if ended:
            raise ProcessTreeError(pid, "there is no such process")

    def read(self, *, exact: bool = False) -> tuple[float, int] | None:
        """Return CPU seconds so far, and resident bytes now; None when the process has ended.

        Args:
            exact: read memory where the kernel doesn't round it, which may hold up the process for a moment, and
                search for new children.
        """
        try:
            if not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE:
                return None
            if exact or self._reads % SEARCH_EVERY == 0:
                self._children = self._search()
            self._reads += 1
            resident = self._read_one(self._process, exact)
        except psutil.NoSuchProcess:
            return None
        for child in self._children:
            try:
                resident += self._read_one(child, exact)
            except psutil.NoSuchProcess:
                continue
        return sum(self._cpu.values()), resident

    def _read_one(self, process: psutil.Process, exact: bool) -> int:
        """Store the CPU time of one process; return its resident bytes."""
        self._cpu[process] = _cpu_seconds(process)
        return _resident_bytes(process, exact)

    def _search(self) -> list[psutil.Process]:
        """Return all descendants, without processes that are watched by themselves and their descendants."""
        left_out = self._apart - {self.pid}
        children = []
        for child in self._process.children(recursive=True):  # parents come first
            try:
                hidden = child.pid in left_out or child.ppid() in left_out
            except psutil.NoSuchProcess:
                continue
            if hidden:
                left_out |= {child.pid}
            else:
                children.append(child)
        return children


def _cpu_seconds(process: psutil.Process) -> float:
    """Return the CPU time of a process: precise to a nanosecond on Linux, to a clock tick elsewhere."""
    try:
        # The clock id that clock_getcpuclockid(3) returns for a process.
        return time.clock_gettime((~process.pid << 3) | 2)
    except OSError:  # not Linux, or the process has ended
        times = process.cpu_times()
        return float(times.user + times.system)


def _resident_bytes(process: psutil.Process, exact: bool) -> int:
    if exact:
        try:
            lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Rss:"))
        except (OSError, StopIteration):
            pass  # not Linux, a process of another user, or a kernel thread: psutil may still read it
    return int(process.memory_info().rss)
