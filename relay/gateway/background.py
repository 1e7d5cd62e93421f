"""Background tasks of a gateway, supervised."""

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
        """Run a coroutine as a task; when it raises, log that and run it again."""
        self._tasks.append(asyncio.create_task(self._supervise(name, work), name=f"relay {name}"))

    async def stop(self) -> None:
        """Cancel all tasks, and wait for their ends."""
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
