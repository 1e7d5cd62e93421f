"""The client of the supervisor inside a worker: requests the status of all workers."""

from __future__ import annotations

import asyncio
from typing import Final

from relay.metrics.snapshot import Snapshot
from relay.web.app_keys import Readiness
from relay.workers.messages import CombinedStatus, CombinedStatusRequest
from relay.workers.pipe import Pipe

TIMEOUT_SECONDS: Final = 4.0
"""For the supervisor's answer: twice as long as it waits for a worker."""


class SupervisorClient:
    """Speaks for all workers, by asking the supervisor; a `relay.gateway.status.Workers`.

    Args:
        pipe: to the supervisor.
        timeout_seconds: for an answer.
    """

    def __init__(self, pipe: Pipe, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._pipe = pipe
        self._timeout_seconds = timeout_seconds
        self._answer: asyncio.Future[CombinedStatus] | None = None

    async def readiness(self) -> Readiness:
        """Return whether all workers are ready.

        Raises:
            TimeoutError: the supervisor doesn't answer.
        """
        status = await self._status()
        return Readiness(status.problems, status.notes)

    async def snapshot(self) -> Snapshot:
        """Return the sum of the workers' numbers.

        Raises:
            TimeoutError: the supervisor doesn't answer.
        """
        return (await self._status()).snapshot

    def receive(self, status: CombinedStatus) -> None:
        """Take the supervisor's answer; it is ignored when no call waits for one."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.set_result(status)

    async def _status(self) -> CombinedStatus:
        """Send a request, unless one is under way, and wait for the answer."""
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
            self._pipe.send(CombinedStatusRequest())
        async with asyncio.timeout(self._timeout_seconds):
            return await asyncio.shield(self._answer)
