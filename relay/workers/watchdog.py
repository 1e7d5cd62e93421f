"""Noticing a worker that hangs: first it gets no new clients, then it is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from relay.logs import Logger
from relay.workers.worker import Worker

LOOK_SECONDS: Final = 0.1
"""Pause between two looks. One counts as no more than twice that: when the whole machine was paused, or the supervisor
had no processor time, all workers are late by the clock, and none of them is to blame."""

SUSPECT_SECONDS: Final = 2.0
"""After so much silence, or half of the timeout when that is less, a worker gets no new clients."""

log = Logger("relay.workers")


class Watch:
    """Looks at how long workers have owed an answer.

    Args:
        timeout_seconds: of silence, after which a worker is killed, and so replaced.

    Attributes:
        workers: that are watched; set before the first look.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self.workers: Sequence[Worker] = ()
        self._timeout_seconds = timeout_seconds
        self._suspect_seconds = min(SUSPECT_SECONDS, timeout_seconds / 2)

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        loop = asyncio.get_running_loop()
        looked_at = loop.time()
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = loop.time()
            self.look(now - looked_at)
            looked_at = now

    def look(self, seconds: float) -> None:
        """Look at each worker once.

        Args:
            seconds: since the look before.
        """
        for worker in self.workers:
            if not worker.owes_answer:
                worker.silent_seconds = 0.0
                worker.resume_listening()
                continue
            before = worker.silent_seconds
            worker.silent_seconds = before + min(seconds, 2 * LOOK_SECONDS)
            if before < self._suspect_seconds <= worker.silent_seconds:
                log.warning("worker does not answer", worker=worker.number)
            if before < self._timeout_seconds <= worker.silent_seconds:
                log.error("killing a worker that does not answer", worker=worker.number)
                worker.kill()
            elif worker.silent_seconds >= self._suspect_seconds and self._can_spare(worker):
                worker.stop_listening()  # what waits for it to accept is reset, and comes back to another

    def _can_spare(self, worker: Worker) -> bool:
        """Return whether a worker accepts clients, and another one does: with no other they had better wait."""
        return worker.accepting and any(other.accepting for other in self.workers if other is not worker)
