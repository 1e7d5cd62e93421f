"""Measurements of this process: processor time, memory, open files, event loop lag and garbage collection pauses.

`prometheus_client` has a collector for the first three. It counts open files by listing them, which takes a quarter of
a second with 19,000 clients; no client would be served during that time.
"""

from __future__ import annotations

import asyncio
import gc
import math
import os
import platform
import resource
import time
from collections.abc import Mapping
from typing import Final

from relay.metrics.counters import Histogram
from relay.version import __version__

FILES: Final = "/proc/self/fd"
MEMORY: Final = "/proc/self/statm"
MOST_MEMORY_BYTES: Final = 256  # seven numbers

INTERVAL_SECONDS: Final = 0.5
"""How often the lag of the event loop is measured."""


class Process:
    """This process. Create it before the first client connects, while few files are open.

    Args:
        files: directory that lists the open files, as Linux has it.
        memory: file that tells the size of the memory, as Linux has it.

    Attributes:
        started_at: when this object was created, in seconds since 1970.
    """

    def __init__(self, files: str = FILES, memory: str = MEMORY) -> None:
        self.started_at = time.time()
        self._files = files
        self._memory = memory
        self._files_at_start = len(os.listdir(files)) if os.path.exists(files) else 0

    @property
    def cpu_seconds(self) -> float:
        """Processor time that the process has used, user and system."""
        times = os.times()
        return times.user + times.system

    @property
    def memory_bytes(self) -> tuple[int, int]:
        """Size of the address space, and of the part that is in RAM; zeros on other systems than Linux."""
        try:
            # Not by `open`, whose eight system calls would be most of what the look at the garbage costs.
            descriptor = os.open(self._memory, os.O_RDONLY)
            try:
                pages = [int(field) for field in os.read(descriptor, MOST_MEMORY_BYTES).split()[:2]]
            finally:
                os.close(descriptor)
        except OSError:
            return 0, 0
        size = resource.getpagesize()
        return pages[0] * size, pages[1] * size

    @property
    def max_files(self) -> float:
        """How many file descriptors the process may have; infinity without a limit."""
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return math.inf if soft == resource.RLIM_INFINITY else soft

    def open_files(self, sockets: int) -> int:
        """Return how many file descriptors are open.

        Args:
            sockets: number of client sockets. Linux before 6.2 does not tell how many files are open; there this
                number is added to that of the start.

        Returns:
            0 on other systems than Linux.
        """
        try:
            listed = os.stat(self._files).st_size
        except OSError:
            return 0
        return listed or self._files_at_start + sockets


class GcPauses:
    """Measures the pauses of the garbage collector from `start` to `stop`.

    Args:
        pauses: histograms that they are counted in, by generation.
    """

    def __init__(self, pauses: Mapping[int, Histogram]) -> None:
        self._pauses = pauses
        self._began_at = 0.0

    def start(self) -> None:
        """Start measuring."""
        gc.callbacks.append(self._notice)

    def stop(self) -> None:
        """Stop measuring; a no-op if it was not started."""
        if self._notice in gc.callbacks:
            gc.callbacks.remove(self._notice)

    def _notice(self, phase: str, info: dict[str, int]) -> None:
        """Note the start or the end of a collection; called by the collector."""
        if phase == "start":
            self._began_at = time.perf_counter()
        else:
            self._pauses[info["generation"]].observe(time.perf_counter() - self._began_at)


async def watch_event_loop(lag: Histogram, interval: float = INTERVAL_SECONDS) -> None:
    """Measure by how much the event loop is late for a timer, again and again, until cancelled.

    Not by `pause`: what other work does in the moments that it shares would count each time.

    A stall hides the measurements that were due during it. They are added afterwards, each with what was left of the
    stall when it was due. So a fraction of the measurements is the same fraction of the time.

    Args:
        lag: histogram that the delays are counted in.
        interval: seconds between two measurements.
    """
    while True:
        due = time.monotonic() + interval
        await asyncio.sleep(interval)
        # Timers of uvloop count whole milliseconds, and may be early by less than one.
        late = max(0.0, time.monotonic() - due)
        lag.observe(late)
        while (late := late - interval) > 0:
            lag.observe(late)


def build_labels(revision: str | None) -> dict[str, str]:
    """Return the labels of `relay_build_info`; call it inside the event loop.

    Args:
        revision: of the source, such as a commit; None: unknown.
    """
    return {
        "version": __version__,
        "revision": revision or "unknown",
        "python": platform.python_version(),
        "event_loop": type(asyncio.get_running_loop()).__module__.partition(".")[0],
    }
