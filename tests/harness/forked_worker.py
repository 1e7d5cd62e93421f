"""Workers and commands that are forks, with what asyncio's processes have."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence

from relay.workers import worker
from relay.workers.child_process import BLOCKED_SIGNALS, spawn
from tests.harness.forked_process import ForkedProcess, ForkServer

_PREFIX = [sys.executable, "-P", "-m"]
"""How the command begins that starts a module."""


class AsyncProcess:
    """A forked process with what is used of `asyncio.subprocess.Process`.

    Args:
        process: that runs.
    """

    def __init__(self, process: ForkedProcess) -> None:
        self._process = process
        self.pid = process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the negative number of a signal; None while it runs."""
        return self._process.poll()

    async def wait(self) -> int:
        """Return its exit code once it has ended."""
        if self.returncode is None:  # until it was asked for, no other process gets its number
            loop = asyncio.get_running_loop()
            ended = asyncio.Event()
            descriptor = os.pidfd_open(self.pid)
            loop.add_reader(descriptor, ended.set)
            try:
                await ended.wait()
            finally:
                loop.remove_reader(descriptor)
                os.close(descriptor)
        return self._process.wait()

    def send_signal(self, sig: signal.Signals) -> None:
        """Send a signal; nothing happens when it has ended."""
        self._process.send_signal(sig)

    def kill(self) -> None:
        """End it at once; nothing happens when it has ended."""
        self._process.kill()


class WorkerForks:
    """Starts workers as forks.

    Args:
        server: of which they are forks; the one of this test run unless another one is given.
    """

    def __init__(self, server: ForkServer | None = None) -> None:
        self._server = server

    async def spawn(self, command: Sequence[str], *ends: socket.socket) -> AsyncProcess | asyncio.subprocess.Process:
        """Do what the relay's `spawn` does; a command that is no module of Python is started anew."""
        if list(command[:3]) != _PREFIX:
            return await spawn(command, *ends)
        with open(os.devnull) as nothing:  # noqa: ASYNC230  # waits for nothing
            kept = {0: nothing.fileno()} | {number: number for number in (1, 2) if _is_open(number)}
            process = ForkedProcess(
                *(*command[4:], str(ends[0].fileno())),
                environment=os.environ,
                folder=os.getcwd(),
                descriptors=kept | {end.fileno(): end.fileno() for end in ends},
                module=command[3],
                blocked=BLOCKED_SIGNALS,
                server=self._server,
            )
        return AsyncProcess(process)


def fork_workers(channel: socket.socket) -> None:
    """Let the supervisor that this process becomes fork its workers from a server."""
    setattr(worker, "spawn", WorkerForks(ForkServer(channel)).spawn)  # noqa: B010  # mypy knows no such attribute


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True
