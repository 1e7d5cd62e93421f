"""Processor time, memory and files of this process.

`prometheus_client` has a collector for these. It counts open files by listing them, which takes a quarter of a second
with 19,000 clients; during that no client would be served.
"""

from __future__ import annotations

import math
import os
import resource
import time

FILES = "/proc/self/fd"
MEMORY = "/proc/self/statm"


class Process:
    """This process. Made before the first client comes, while few files are open."""

    def __init__(self) -> None:
        self.started_at = time.time()
        self._files_at_start = len(os.listdir(FILES)) if os.path.exists(FILES) else 0

    @property
    def cpu_seconds(self) -> float:
        """Processor time so far, user and system."""
        times = os.times()
        return times.user + times.system

    @property
    def memory_bytes(self) -> tuple[int, int]:
        """Address space, and the part of it that is in RAM; zeros where only Linux would know."""
        try:
            with open(MEMORY) as file:
                pages = [int(field) for field in file.read().split()[:2]]
        except OSError:
            return 0, 0
        size = resource.getpagesize()
        return pages[0] * size, pages[1] * size

    @property
    def max_files(self) -> float:
        """File descriptors that are allowed."""
        soft, _hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return math.inf if soft == resource.RLIM_INFINITY else soft

    def open_files(self, sockets: int) -> int:
        """Return how many file descriptors are open.

        Args:
            sockets: of clients. Linux before 6.2 doesn't tell the number, so there they are added to what was
                open at the start.
        """
        try:
            told = os.stat(FILES).st_size
        except OSError:
            return 0
        return told or self._files_at_start + sockets
