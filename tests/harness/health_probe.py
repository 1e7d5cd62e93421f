"""Asks a gateway again and again how it is: a stalled event loop can't answer."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from tests.harness.http_response import get

INTERVAL_SECONDS = 0.02


class HealthProbe:
    """Asks for `/healthz` in the background. An async context manager.

    Args:
        port: port of the gateway.

    Attributes:
        answers: how many answers came.
        slowest_seconds: time that the slowest one took, the one under way included.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._task: asyncio.Task[None] | None = None
        self._asked_at: float | None = None
        self._slowest = 0.0
        self.answers = 0

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._ask())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._task is not None
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    @property
    def slowest_seconds(self) -> float:
        under_way = 0.0 if self._asked_at is None else time.monotonic() - self._asked_at
        return max(self._slowest, under_way)

    async def _ask(self) -> None:
        while True:
            self._asked_at = time.monotonic()
            response = await get(self._port, "/healthz", within=60.0)
            assert response.status == 200
            self._slowest = max(self._slowest, time.monotonic() - self._asked_at)
            self._asked_at = None
            self.answers += 1
            await asyncio.sleep(INTERVAL_SECONDS)
