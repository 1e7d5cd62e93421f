"""How long the garbage collector stops everything."""

from __future__ import annotations

import gc
import time
from collections.abc import Mapping

from relay.metrics.histogram import Histogram


class GcPauses:
    """Counts the collector's pauses from `start` to `stop`.

    Args:
        pauses: where they are counted, by generation.
    """

    def __init__(self, pauses: Mapping[int, Histogram]) -> None:
        self._pauses = pauses
        self._began_at = 0.0

    def start(self) -> None:
        """Begin to count."""
        gc.callbacks.append(self._notice)

    def stop(self) -> None:
        """Count no more; nothing happens when it wasn't started."""
        if self._notice in gc.callbacks:
            gc.callbacks.remove(self._notice)

    def _notice(self, phase: str, info: dict[str, int]) -> None:
        """Take the time; called by the collector before and after each run."""
        if phase == "start":
            self._began_at = time.perf_counter()
        else:
            self._pauses[info["generation"]].observe(time.perf_counter() - self._began_at)
