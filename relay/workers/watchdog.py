"""The watchdog: a worker that hangs first gets no new clients, and then is killed, and so replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from relay.logs import Logger
from relay.metrics.counters import Counters
from relay.workers.timing import DEFAULT_TIMING
from relay.workers.worker import Worker

CHECK_SECONDS: Final = 0.1
"""Pause between two checks. One counts as no more than twice that: when the whole machine was paused, or the supervisor
had no processor time, all workers are late by the clock, and none of them is to blame."""

log = Logger("relay.workers")


class Watchdog:
    """Checks for how long workers have owed an answer.

    Args:
        counters: where silences are counted: a worker is mostly killed, or answers again, before metrics are asked for.
        timeout_seconds: of silence, after which a worker is killed.
        suspect_seconds: of silence, after which a worker gets no new clients; at most half of `timeout_seconds`.

    Attributes:
        workers: that are watched; set before the first check.
        suspect_seconds: as above.
    """

    def __init__(
        self, counters: Counters, timeout_seconds: float, suspect_seconds: float = DEFAULT_TIMING.suspect_after
    ) -> None:
        self._counters = counters
        self.workers: Sequence[Worker] = ()
        self.suspect_seconds = min(suspect_seconds, timeout_seconds / 2)
        self._timeout_seconds = timeout_seconds

    async def run(self) -> None:
        """Check at an interval, until cancelled."""
        loop = asyncio.get_running_loop()
        checked_at = loop.time()
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            now = loop.time()
            self.check(now - checked_at)
            checked_at = now

    def check(self, seconds: float) -> None:
        """Check each worker once.

        Args:
            seconds: since the previous check.
        """
        for worker in self.workers:
            if not worker.owes_answer:
                worker.silent_seconds = 0.0
                worker.resume_listening()
                continue
            before = worker.silent_seconds
            worker.silent_seconds = before + min(seconds, 2 * CHECK_SECONDS)
            if before < self.suspect_seconds <= worker.silent_seconds:
                self._counters.worker_silences += 1
                log.warning("worker does not answer", worker=worker.number)
            if before < self._timeout_seconds <= worker.silent_seconds:
                log.error("killing a worker that does not answer", worker=worker.number)
                worker.kill()
            elif worker.silent_seconds >= self.suspect_seconds and self._can_spare(worker):
                worker.stop_listening()  # resets the clients that wait for it; they reconnect, to another worker

    def _can_spare(self, worker: Worker) -> bool:
        """Return whether a worker accepts clients, and another one does too: without another, clients should wait."""
        return worker.accepting and any(other.accepting for other in self.workers if other is not worker)
