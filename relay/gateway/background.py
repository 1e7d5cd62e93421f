"""The work of a gateway that goes on beside its clients."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from relay.logs import Logger

RESTART_SECONDS = 1.0

log = Logger("relay.gateway")

Work = Callable[[], Coroutine[Any, Any, None]]


class Background:
    """Supervised tasks, until `stop`."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []

    def run(self, name: str, work: Work) -> None:
        """Do work that goes on for long; a fault in it must not be the end of it."""
        self._tasks.append(asyncio.create_task(self._supervise(name, work), name=f"relay {name}"))

    async def stop(self) -> None:
        """End all of it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _supervise(self, name: str, work: Work) -> None:
        while True:
            try:
                await work()
                return
            except Exception:
                log.exception("task failed", task=name)
            await asyncio.sleep(RESTART_SECONDS)
