"""One direction of a connection whose bytes take their time, as over a narrow or a long way."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

ROOM_BYTES = 65536
"""That may be on the way; whoever sends more has to wait."""

STEP_SECONDS = 0.02
"""How often bytes leave a narrow way: by the bytes that it carries in this time, whatever chunks they came in."""


class SlowLine:
    """Passes bytes on, later, in their order.

    Args:
        write: takes them.
        relieved: called when there is room again.

    Attributes:
        waiting: bytes on their way.
    """

    def __init__(self, write: Callable[[bytes], None], relieved: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._write = write
        self._relieved = relieved
        self._chunks: deque[tuple[float, bytes]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._delay = 0.0
        self._bytes_per_second = 0.0
        self.waiting = 0

    @property
    def full(self) -> bool:
        """Whether nothing more should be sent."""
        return self.waiting >= ROOM_BYTES

    def pace(self, delay_seconds: float, bytes_per_second: float) -> None:
        """Say how slow it is from now on: what comes is delayed, and only so much arrives in a second; 0: any."""
        self._delay, self._bytes_per_second = delay_seconds, bytes_per_second
        if self._chunks and not delay_seconds and not bytes_per_second:
            self.end_pace()

    def send(self, data: bytes) -> None:
        """Take bytes."""
        if not self._chunks and not self._delay and not self._bytes_per_second:
            self._write(data)
            return
        self._chunks.append((self._loop.time() + self._delay, data))
        self.waiting += len(data)
        self._schedule()

    def end_pace(self) -> None:
        """Let everything arrive at once."""
        self._stop()
        for _, data in self._chunks:
            self._write(data)
        self._chunks.clear()
        self.waiting = 0
        self._relieved()

    def close(self) -> None:
        """Forget what is on its way."""
        self._stop()
        self._chunks.clear()
        self.waiting = 0

    def _schedule(self) -> None:
        if self._timer is None and self._chunks:
            due = self._chunks[0][0]
            if self._bytes_per_second:
                due = max(due, self._loop.time() + STEP_SECONDS)
            self._timer = self._loop.call_at(due, self._arrive)

    def _arrive(self) -> None:
        self._timer = None
        budget = self._bytes_per_second * STEP_SECONDS if self._bytes_per_second else float("inf")
        budget = max(budget, 1)
        now = self._loop.time()
        while self._chunks and budget >= 1 and self._chunks[0][0] <= now:
            due, data = self._chunks.popleft()
            part = data if len(data) <= budget else data[: int(budget)]
            if len(part) < len(data):
                self._chunks.appendleft((due, data[len(part) :]))
            budget -= len(part)
            self.waiting -= len(part)
            self._write(part)
        if not self.full:
            self._relieved()
        self._schedule()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
