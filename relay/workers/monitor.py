"""The monitor: requests the status of all workers, at an interval and when an operator asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from relay.logs import Logger, dropped_entries
from relay.metrics.snapshot import Snapshot
from relay.web.app_keys import Readiness
from relay.workers.messages import CombinedStatus
from relay.workers.status import EndedProcesses, combine
from relay.workers.timing import DEFAULT_TIMING, Timing
from relay.workers.worker import Worker

log = Logger("relay.workers")


class Monitor:
    """Knows the status of all workers; a `relay.gateway.status.Workers`.

    Args:
        timing: `status_interval` and `status_timeout` are used.

    Attributes:
        workers: that are asked; set before the first request.
        ended: totals of processes that have ended.
    """

    def __init__(self, timing: Timing = DEFAULT_TIMING) -> None:
        self.workers: Sequence[Worker] = ()
        self.ended = EndedProcesses(time.time())
        self._timing = timing
        self._current: asyncio.Task[CombinedStatus] | None = None

    async def status(self) -> CombinedStatus:
        """Request the status of all workers, and return it combined; simultaneous calls share one request."""
        if self._current is None or self._current.done():
            self._current = asyncio.create_task(self._request(), name="relay survey")
        return await asyncio.shield(self._current)

    async def readiness(self) -> Readiness:
        """Return whether all workers are ready."""
        status = await self.status()
        return Readiness(status.problems, status.notes)

    async def snapshot(self) -> Snapshot:
        """Return the sum of the workers' numbers."""
        return (await self.status()).snapshot

    async def run(self) -> None:
        """Request the status at an interval, until cancelled."""
        try:
            while True:
                await asyncio.sleep(self._timing.status_interval)
                try:
                    await self.status()
                except Exception:
                    log.exception("survey failed")
        finally:
            if self._current is not None:
                self._current.cancel()

    def retire(self, worker: Worker) -> None:
        """Keep the totals of a worker's process, which has ended."""
        if worker.status is not None:
            self.ended.add(worker.status.snapshot)
            worker.status = None

    async def _request(self) -> CombinedStatus:
        answers = {worker: worker.request_status() for worker in self.workers if worker.listening}
        if answers:
            await asyncio.wait(answers.values(), timeout=self._timing.status_timeout)
        unresponsive = {worker.number for worker, answer in answers.items() if not answer.done()}
        statuses = {worker.number: worker.status if worker.listening else None for worker in self.workers}
        combined = combine(statuses, unresponsive, self.ended)
        combined.snapshot.counters.log_entries_dropped.update(dropped_entries())  # by this process
        return combined
