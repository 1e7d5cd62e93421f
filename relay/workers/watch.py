"""Noticing a worker that hangs: first it gets no new clients, then it is replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from relay.logs import Logger
from relay.workers.worker import Worker

LOOK_SECONDS: Final = 0.1
"""Pause between two looks. Silence is counted in looks: when the whole machine was paused, or the supervisor had no
processor time, all workers are late by the clock, and none of them is to blame."""

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
        self._timeout_looks = max(2, round(timeout_seconds / LOOK_SECONDS))
        self._suspect_looks = max(1, min(round(SUSPECT_SECONDS / LOOK_SECONDS), self._timeout_looks // 2))

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Look at each worker once."""
        for worker in self.workers:
            if not worker.owes_answer:
                worker.silent_looks = 0
                worker.resume_listening()
                continue
            worker.silent_looks += 1
            if worker.silent_looks == self._suspect_looks:
                log.warning("worker does not answer", worker=worker.number)
                # What waits for it to accept is reset, and comes back to another. With no other it had better wait.
                if any(other.accepting for other in self.workers if other is not worker):
                    worker.stop_listening()
            elif worker.silent_looks == self._timeout_looks:
                log.error("killing a worker that does not answer", worker=worker.number)
                worker.kill()
