"""The load test as its user runs it: `relay loadtest`, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil

from relay.loadtest.result.result import Result
from tests.harness import guard
from tests.harness.conditions import PATIENCE_SECONDS, wait_until

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a load test ended.

    Args:
        code: exit code, or the negative number of a signal.
        output: what it wrote to standard output.
        errors: what it wrote to standard error.
        written: its JSON file, decoded; None when it wrote none.
    """

    code: int
    output: str
    errors: str
    written: Result | None

    @property
    def result(self) -> Result:
        """The JSON file's content, which has to be there."""
        assert self.written is not None, f"{self.code}\n{self.output}\n{self.errors}"
        return self.written


class LoadTest:
    """A load test that runs, in an empty folder. An async context manager: killed at the end if it still does.

    Args:
        *arguments: of the command line, behind `relay loadtest`.
    """

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._directory = tempfile.TemporaryDirectory(prefix="relay-load-")
        self._json = Path(self._directory.name) / "result.json"
        self._process: Process | None = None

    async def __aenter__(self) -> Self:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")}
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "relay", "loadtest", *self._arguments, "--json", str(self._json)),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env=environment | {"PYTHONPATH": str(ROOT)},
            cwd=self._directory.name,
            start_new_session=True,
        )
        guard.watch(self._process.pid)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.communicate()
        guard.unwatch(self._process.pid)
        self._directory.cleanup()

    def interrupt(self) -> None:
        """Do what Ctrl-C in a terminal does: all processes of the load test get the signal."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGINT)

    async def heeds(self) -> None:
        """Return when it has taken the signals that it was sent; until then another one of the same kind is lost."""
        await wait_until(lambda: not self._pending(), what="the load test has taken its signal")

    async def ends(self, within: float) -> bool:
        """Return whether it ends within so many seconds."""
        assert self._process is not None
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._process.wait()
        return self._process.returncode is not None

    async def ended(self, within: float = PATIENCE_SECONDS) -> Outcome:
        """Return how it ended; it must have left no process behind."""
        assert self._process is not None
        async with asyncio.timeout(within):
            output, errors = await self._process.communicate()
        await wait_until(lambda: not self._alive(), what="all processes of the load test have ended")
        code = self._process.returncode
        assert code is not None
        written = msgspec.json.decode(self._json.read_bytes(), type=Result) if self._json.exists() else None
        return Outcome(code, output.decode(), errors.decode(), written)

    def _pending(self) -> int:
        """Return the signals that wait for the process, as bits."""
        assert self._process is not None
        fields = dict(line.split(":", 1) for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines())
        return int(fields["SigPnd"], 16) | int(fields["ShdPnd"], 16)

    def _alive(self) -> bool:
        assert self._process is not None
        return any(_runs_in(process, self._process.pid) for process in psutil.process_iter())


def _runs_in(process: psutil.Process, group: int) -> bool:
    """Return whether a process runs in a process group; a dead one that nobody has waited for yet doesn't."""
    try:
        return os.getpgid(process.pid) == group and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


async def run_load_test(*arguments: str, within: float = PATIENCE_SECONDS) -> Outcome:
    """Run a load test until it ends.

    Args:
        *arguments: of the command line, behind `relay loadtest`.
        within: seconds that it may take.
    """
    async with LoadTest(*arguments) as load_test:
        return await load_test.ended(within)
