"""What clients have asked for that has to wait: for the bus, a history, an authenticator or a back end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from relay.clients.eager_task import start_at_once
from relay.logs import Logger, trace

SETTLE_SECONDS: Final = 5.0
"""How long a stop waits for requests that were cancelled: an authenticator of the program may not end."""

log = Logger("relay.gateway")


class Requests:
    """The requests of all clients of a gateway that wait."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._tasks)

    def start(self, request: Coroutine[Any, Any, None], failed: Callable[[], object]) -> asyncio.Task[None] | None:
        """Carry out a request, up to its first wait during this call; what it raises there is raised here.

        Args:
            request: what is to be done.
            failed: called when it fails later, which is logged.

        Returns:
            The task that waits, to be cancelled when its client leaves; None: nothing was left to do.
        """
        task = start_at_once(request)
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(lambda task: self._end(task, failed))
        return task

    async def stop(self) -> None:
        """Cancel all, and wait until they have ended."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=SETTLE_SECONDS)

    def _end(self, task: asyncio.Task[None], failed: Callable[[], object]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            if task.cancelling():
                return  # its client has left, or the gateway ends
            log.error("request of a client failed", why="what it waited for was cancelled")
        elif (error := task.exception()) is not None:
            log.error("request of a client failed", stack=trace(error))
        else:
            return
        failed()
