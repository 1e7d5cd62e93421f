"""A process that uses CPU time, memory and children as it is told."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Self

from tests.harness import guard

_SCRIPT = """
import os, sys, time
hoard, children = [], []
for line in sys.stdin:
    word, _, number = line.partition(" ")
    answer = 0
    if word == "burn":
        end = time.process_time() + float(number)
        while time.process_time() < end:
            pass
    elif word == "hoard":
        hoard.append(b"x" * int(number))
    elif word == "fork":
        read, write = os.pipe()
        answer = os.fork()
        if not answer:
            end = time.process_time() + float(number)
            while time.process_time() < end:
                pass
            os.write(write, b"x")
            os.close(write)
            time.sleep(3600)
        os.close(write)
        os.read(read, 1)
        os.close(read)
    elif word == "reap":
        os.kill(int(number), 9)
        os.waitpid(int(number), 0)
    print(answer, flush=True)
"""


class BusyProcess:
    """Does one thing at a time, and has done it when the call returns. A context manager."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SCRIPT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = self._process.pid
        self._children: set[int] = set()
        guard.watch(self.pid)
        self._tell("begin", 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.end()

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def burn(self, seconds: float) -> None:
        """Use CPU time."""
        self._tell("burn", seconds)

    def hoard(self, size: int) -> None:
        """Take memory, in bytes, and keep it."""
        self._tell("hoard", size)

    def fork(self, seconds: float) -> int:
        """Start a child that uses CPU time and then waits; return its pid."""
        pid = self._tell("fork", seconds)
        self._children.add(pid)
        guard.watch(pid)
        return pid

    def reap(self, pid: int) -> None:
        """End a child."""
        self._tell("reap", pid)
        self._children.remove(pid)
        guard.unwatch(pid)

    def end(self, *, wait: bool = True) -> None:
        """End it and its children.

        Args:
            wait: for it to be gone; otherwise it stays as a zombie.
        """
        if self.running:
            for pid in sorted(self._children):
                self.reap(pid)
            self._process.kill()
        if wait:
            self._process.communicate()
            guard.unwatch(self.pid)

    def _tell(self, word: str, number: float) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{word} {number}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())
