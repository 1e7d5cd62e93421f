"""The start of a worker's process, and its end in words."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys

import pytest

from relay.workers.child_process import BLOCKED_SIGNALS, ProcessExit, spawn
from tests.harness.conditions import PATIENCE_SECONDS


async def test_a_new_process_keeps_its_signals_until_it_can_handle_them() -> None:
    """Python would print a traceback for a Ctrl-C that comes while modules are imported."""
    script = (
        "import os, signal, sys; blocked = signal.pthread_sigmask(signal.SIG_BLOCK, []); "
        "sys.exit(blocked != {signal.SIGINT, signal.SIGTERM, signal.SIGHUP})"
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # Several at once: none may leave the signals of this process blocked.
        processes = await asyncio.gather(*(spawn((sys.executable, "-c", script), theirs) for _ in range(3)))
        codes = [await asyncio.wait_for(process.wait(), PATIENCE_SECONDS) for process in processes]
        assert codes == [0, 0, 0]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & set(BLOCKED_SIGNALS)


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (ProcessExit(1, False, "cannot listen", 0.0), "cannot listen"),
        (ProcessExit(0, True, None, 1.0), "ended with exit code 0"),
        (ProcessExit(-15, True, None, 1.0), "ended by SIGTERM"),
    ],
)
def test_an_exit_in_words(ended: ProcessExit, words: str) -> None:
    assert str(ended) == words
