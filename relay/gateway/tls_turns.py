"""Turns of TLS handshakes: so many in a tick as there is time for, and the others after all clients had a turn.

A handshake takes 0.3 to 1 ms of the event loop's time, 2 with the dearest curve, 6 with an RSA key of 4096 bits. A
crowd that comes at once must not stop the messages of those who are connected.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Final, Protocol

TURN_SECONDS: Final = 0.002
"""For handshakes in one tick. One that has begun is finished."""


class Handshaking(Protocol):
    """A connection whose next step costs something."""

    def go_on(self) -> None:
        """Do the step; do nothing when the connection is gone."""


class HandshakeTurns:
    """The connections that wait for their next step, first come first served.

    Args:
        loop: the event loop of the connections.
        turn_seconds: for handshakes in one tick.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, turn_seconds: float = TURN_SECONDS) -> None:
        self._loop = loop
        self._turn_seconds = turn_seconds
        self._waiting: deque[Handshaking] = deque()

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._waiting)

    def add(self, connection: Handshaking) -> None:
        """Let a connection do its next step soon."""
        if not self._waiting:
            self._loop.call_soon(self._run)
        self._waiting.append(connection)

    def _run(self) -> None:
        end = time.perf_counter() + self._turn_seconds
        try:
            while self._waiting:
                self._waiting.popleft().go_on()
                if time.perf_counter() >= end:
                    break
        finally:
            if self._waiting:
                self._loop.call_soon(self._run)
