"""The load test's worker processes as threads: they start at once, and a test sees what goes on in them."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

import pytest


class WorkerThread:
    """Looks like a process of the multiprocessing module.

    Args:
        target: what to run.
        args: its arguments; the connections among them are duplicated, as a process does.
    """

    pid = os.getpid()

    def __init__(self, target: Callable[..., None], args: tuple[Any, ...], **_: object) -> None:
        self._target = target
        self._args = args
        self._own: list[Connection] = []
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        arguments = [self._duplicate(argument) for argument in self._args]
        self._args = tuple(arguments)
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the end."""
        self._thread.join(timeout)

    def is_alive(self) -> bool:
        """Return whether it has not ended."""
        return self._thread.is_alive()

    def kill(self) -> None:
        """A thread can't be killed: its connections end."""
        self._hang_up()

    def close(self) -> None:
        """Nothing is left to do."""

    def _duplicate(self, argument: Any) -> Any:
        if not isinstance(argument, Connection):
            return argument
        self._own.append(Connection(os.dup(argument.fileno()), argument.readable, argument.writable))
        return self._own[-1]

    def _run(self) -> None:
        try:
            self._target(*self._args)
        finally:
            self._hang_up()

    def _hang_up(self) -> None:
        for connection in self._own:
            connection.close()


class ThreadContext:
    """Looks like a context of the multiprocessing module."""

    Pipe = staticmethod(multiprocessing.Pipe)
    Process = WorkerThread


@contextmanager
def worker_threads() -> Iterator[None]:
    """Have worker threads instead of worker processes, and what they set in their process set back at the end."""
    thresholds = gc.get_threshold()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("relay.loadtest.run.worker_pool.get_context", lambda _kind: ThreadContext)
        # Only the main thread may set handlers.
        patch.setattr("relay.loadtest.generator.load_worker.signal.signal", lambda *_: signal.SIG_DFL)
        try:
            yield
        finally:
            gc.unfreeze()
            gc.set_threshold(*thresholds)
