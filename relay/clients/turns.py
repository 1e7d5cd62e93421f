"""Turns of the clients that have sent many frames: a turn is bounded in work, not only in bytes.

The smallest frames have 6 bytes, so one read may bring 2,730 of them, and each may cost 10 µs. A connection that has
read more frames than its turn allows isn't read any further, and its others wait here. They are taken in a few at a
time, between the turns of all other connections.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

FRAMES_PER_TURN = 128
"""Of one connection, while no other has to wait: more than one read brings of frames of 128 bytes, so a publisher at
full speed need not wait for a second turn. About 1 ms."""

FRAMES_PER_TURN_OF_MANY = 8
"""Of one connection, while others wait. One that sends now and then has 1 or 2."""

FRAMES_PER_TICK = 256
"""Of all connections that wait, between two looks at the sockets, whatever their number."""

SECONDS_PER_TICK = 0.001
"""After so long their turns end as well: a frame takes 0.5 to 10 µs, on a slow machine several times as much. With 2 ms
and more, floods of fragments took healthy clients to four times their latency."""


class Waiting(Protocol):
    """A client of which frames were read, but not taken in yet."""

    def go_on(self) -> int:
        """Take in a turn's frames, and add oneself to the turns again if there are more.

        Returns:
            How many they were.
        """


class Turns:
    """The clients that wait for their next turn, in the order in which they get it.

    Args:
        loop: the event loop of the connections.
        clock: returns the time in seconds; the loop's own stands still within a tick.

    Attributes:
        frames: how many frames a connection may take in now.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float] = time.perf_counter) -> None:
        self.frames = FRAMES_PER_TURN
        self._loop = loop
        self._clock = clock
        self._scheduled = False
        self._waiting: OrderedDict[Waiting, None] = OrderedDict()

    def __len__(self) -> int:
        """Return how many clients wait."""
        return len(self._waiting)

    def add(self, connection: Waiting) -> None:
        """Give a client another turn; nothing happens when it waits for one already."""
        self._waiting[connection] = None
        self.frames = FRAMES_PER_TURN_OF_MANY
        self._schedule()

    def stop(self) -> None:
        """Give no more turns to the clients that wait now."""
        self._waiting.clear()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._run)

    def _run(self) -> None:
        """Give turns until a tick's work is done, and leave the others to the next tick."""
        self._scheduled = False
        left, end = FRAMES_PER_TICK, self._clock() + SECONDS_PER_TICK
        try:
            while self._waiting and left > 0 and self._clock() < end:
                connection, _ = self._waiting.popitem(last=False)
                left -= max(1, connection.go_on())
        finally:
            if self._waiting:
                self._schedule()
            else:
                self.frames = FRAMES_PER_TURN
