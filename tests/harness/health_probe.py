"""Asks a gateway again and again how it is: a stalled event loop can't answer."""

from __future__ import annotations

import asyncio
import time
from types import TracebackType
from typing import Self

from tests.harness.http_response import get

INTERVAL_SECONDS = 0.02


class HealthProbe:
    """Asks for `/healthz` in the background. An async context manager.

    The machine itself may stand still for a while when others want its processors. A clock of the probe's own
    notices that, and such time is not held against the gateway.

    Args:
        port: port of the gateway.

    Attributes:
        answers: how many answers came.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: list[asyncio.Task[None]] = []
        self._asked: tuple[float, float] | None = None
        self._stall = 0.0
        self._late = 0.0
        self._due: float | None = None
        self.answers = 0

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._tick()), asyncio.create_task(self._ask())]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if kind is None and isinstance(result, Exception):
                raise result

    @property
    def stall_seconds(self) -> float:
        """Longest time for which the gateway was silent while this process was not, the one under way included."""
        return max(self._stall, self._silence())

    @property
    def lateness_seconds(self) -> float:
        """By how much this process has been late so far: about the time for which the machine stood still.

        It includes the delay that the clock has yet to notice: after a stall an answer may be handled before it.
        """
        unnoticed = 0.0 if self._due is None else time.monotonic() - self._due
        return self._late + max(0.0, unnoticed)

    def _silence(self) -> float:
        if self._asked is None:
            return 0.0
        moment, lateness = self._asked
        return time.monotonic() - moment - (self.lateness_seconds - lateness)

    async def _tick(self) -> None:
        """Add up by how much a clock of this process is late."""
        while True:
            self._due = time.monotonic() + INTERVAL_SECONDS
            await asyncio.sleep(INTERVAL_SECONDS)
            self._late = self.lateness_seconds

    async def _ask(self) -> None:
        while True:
            self._asked = time.monotonic(), self.lateness_seconds
            response = await get(self._port, "/healthz", within=60.0)
            assert response.status == 200
            self._stall, self._asked = self.stall_seconds, None
            self.answers += 1
            await asyncio.sleep(INTERVAL_SECONDS)
