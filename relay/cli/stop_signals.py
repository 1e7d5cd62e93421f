"""SIGTERM and SIGINT: the first one drains a process, the second one stops it."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from typing import Final

ENDED_BY_SIGNAL: Final = 128
"""Added to the number of a signal in an exit code."""

LAST_RESORT_SECONDS: Final = 2.0

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """SIGTERM and SIGINT as events.

    Args:
        last_resort_seconds: time that the process has to end after the second signal, before it exits at once, whatever
            it waits for.

    Attributes:
        drain: set by the first signal.
        stop: set by the second signal.
        number: of the latest signal; 0 before any.
    """

    def __init__(self, last_resort_seconds: float = LAST_RESORT_SECONDS) -> None:
        self.drain = asyncio.Event()
        self.stop = asyncio.Event()
        self.number = 0
        self._last_resort_seconds = last_resort_seconds
        self._last_resort: threading.Timer | None = None

    def install(self) -> None:
        """Handle the signals of this process; call inside a running event loop."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            try:
                loop.add_signal_handler(number, self.receive, number)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda number, _: loop.call_soon_threadsafe(self.receive, number))

    def receive(self, number: int) -> None:
        """Handle one signal."""
        self.number = number
        if not self.drain.is_set():
            self.drain.set()
        elif not self.stop.is_set():
            self.stop.set()
            # Closing the loop joins threads: a name look-up that hangs would hold the process for minutes.
            self._last_resort = threading.Timer(self._last_resort_seconds, os._exit, (ENDED_BY_SIGNAL + number,))
            self._last_resort.daemon = True
            self._last_resort.start()

    def disarm(self) -> None:
        """Cancel the last resort: the process ends by itself."""
        if self._last_resort is not None:
            self._last_resort.cancel()
