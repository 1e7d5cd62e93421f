"""The process of a worker: how the supervisor starts it, and how it ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

BLOCKED_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that stay pending in a new process until it can handle them: Ctrl-C on a terminal reaches it, too."""


@dataclass(frozen=True, slots=True)
class ProcessExit:
    """How a worker's process ended.

    Args:
        code: exit code, or the negative number of a signal.
        listened: whether it has accepted clients.
        reason: why it could not start; None when it gave no reason.
        seconds: how long it has lived.
        final: whether another one would fail as well.
    """

    code: int
    listened: bool
    reason: str | None
    seconds: float
    final: bool = False

    def __str__(self) -> str:
        if self.reason is not None:
            return self.reason
        return f"ended by {signal.Signals(-self.code).name}" if self.code < 0 else f"ended with exit code {self.code}"


async def spawn(command: Sequence[str], *ends: socket.socket) -> asyncio.subprocess.Process:
    """Start a process that finds the same modules as this one, and inherits sockets.

    Args:
        command: of the process; the file descriptor of the first socket is added as the last argument.
        ends: sockets that it inherits.

    Raises:
        OSError: the system can't start one now.
    """
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED_SIGNALS)
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            str(ends[0].fileno()),
            stdin=asyncio.subprocess.DEVNULL,
            pass_fds=[end.fileno() for end in ends],
            env={**os.environ, "PYTHONPATH": path},
        )
    finally:
        # Not back to what it was before: several are started at the same time, and each would see the others' block.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED_SIGNALS)
