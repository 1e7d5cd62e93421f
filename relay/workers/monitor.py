"""Asking all workers how they are, now and then and whenever somebody wants to know."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from relay.logs import Logger, dropped_entries
from relay.workers.messages import Whole
from relay.workers.status import Ended, make_whole
from relay.workers.worker import Worker

SURVEY_SECONDS: Final = 1.0
"""Pause between two surveys that nobody has asked for: what a worker counts and then crashes is lost."""

ANSWER_SECONDS: Final = 2.0
"""How long a worker may take to answer; then the others' answers are enough."""

log = Logger("relay.workers")


class Survey:
    """How all workers are.

    Attributes:
        workers: that are asked; set before the first survey.
        ended: what processes have counted that are no more.
    """

    def __init__(self) -> None:
        self.workers: Sequence[Worker] = ()
        self.ended = Ended(time.time())
        self._current: asyncio.Task[Whole] | None = None

    async def whole(self) -> Whole:
        """Ask, and return the answers in one; those who want to know at the same time share one survey."""
        if self._current is None or self._current.done():
            self._current = asyncio.create_task(self._ask(), name="relay survey")
        return await asyncio.shield(self._current)

    async def run(self) -> None:
        """Ask again and again, until cancelled."""
        try:
            while True:
                await asyncio.sleep(SURVEY_SECONDS)
                try:
                    await self.whole()
                except Exception:
                    log.exception("survey failed")
        finally:
            if self._current is not None:
                self._current.cancel()

    def retire(self, worker: Worker) -> None:
        """Keep what the process of a worker has counted; it has ended."""
        if worker.state is not None:
            self.ended.add(worker.state.snapshot)
            worker.state = None

    async def _ask(self) -> Whole:
        answers = {worker: worker.ask() for worker in self.workers if worker.listening}
        if answers:
            await asyncio.wait(answers.values(), timeout=ANSWER_SECONDS)
        silent = {worker for worker, answer in answers.items() if not answer.done()}
        states = {worker.number: worker.state if worker.listening else None for worker in self.workers}
        whole = make_whole(states, {worker.number for worker in silent}, self.ended)
        whole.snapshot.counters.log_entries_dropped.update(dropped_entries())  # those of this process
        return whole
