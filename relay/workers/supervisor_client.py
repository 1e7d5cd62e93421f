"""What a worker knows of the others: it asks the supervisor."""

from __future__ import annotations

import asyncio
from typing import Final

from relay.metrics.snapshot import Snapshot
from relay.workers.messages import TellWhole, Whole
from relay.workers.pipe import Link

WAIT_SECONDS: Final = 4.0
"""How long the supervisor may take: twice as long as it waits for a worker."""


class SupervisorClient:
    """All workers, as the supervisor sees them; see `relay.gateway.status.Workers`.

    Args:
        link: to the supervisor.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._answer: asyncio.Future[Whole] | None = None

    async def problems(self) -> list[str]:
        """Return what keeps the workers from serving clients.

        Raises:
            TimeoutError: the supervisor doesn't answer.
        """
        return (await self._whole()).problems

    async def snapshot(self) -> Snapshot:
        """Return the sum of their numbers.

        Raises:
            TimeoutError: the supervisor doesn't answer.
        """
        return (await self._whole()).snapshot

    def answered(self, whole: Whole) -> None:
        """Take the supervisor's answer."""
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.set_result(whole)

    async def _whole(self) -> Whole:
        """Ask, unless somebody has asked already."""
        if self._answer is None:
            self._answer = asyncio.get_running_loop().create_future()
            self._link.send(TellWhole())
        async with asyncio.timeout(WAIT_SECONDS):
            return await asyncio.shield(self._answer)
