"""One timing wheel that pings all connections, instead of a timer for each."""

from __future__ import annotations

import asyncio
import random
from typing import Protocol

TICK_SECONDS = 0.1


class Pingable(Protocol):
    """What the wheel turns over.

    Attributes:
        slot: where it stands on the wheel; the wheel's own.
    """

    slot: int

    def ping(self) -> None:
        """Send a ping, and note that nothing has been heard since."""

    def check_heard(self) -> None:
        """Close if nothing has been heard since the last ping."""


class Keepalive:
    """Pings each connection once per interval, and checks it a timeout later.

    A connection stands in a random slot, so that those that came together are not pinged together. The wheel
    turns one slot per tick and never catches up: after a stall of this process, clients' answers that wait in
    the sockets are read before anyone is judged.

    Args:
        interval: seconds between two pings of a connection.
        timeout: seconds that it has for an answer; at most the interval.
    """

    def __init__(self, interval: float, timeout: float) -> None:
        self._count = max(1, round(interval / TICK_SECONDS))
        self._tick = interval / self._count
        # Those in which somebody stands: an hour has 36,000, and empty sets would take 8 MB.
        self._slots: dict[int, set[Pingable]] = {}
        self._delay = min(self._count, max(1, round(timeout / self._tick)))
        self._now = 0

    def add(self, connection: Pingable) -> None:
        """Put a connection on the wheel; its first ping comes at a random point of the interval."""
        connection.slot = random.randrange(self._count)
        self._slots.setdefault(connection.slot, set()).add(connection)

    def remove(self, connection: Pingable) -> None:
        """Take a connection off the wheel."""
        others = self._slots.get(connection.slot, set())
        others.discard(connection)
        if not others:
            self._slots.pop(connection.slot, None)

    def turn(self) -> None:
        """Check those that were pinged a timeout ago, and ping those whose turn it is."""
        self._now = (self._now + 1) % self._count
        for connection in list(self._slots.get((self._now - self._delay) % self._count, ())):
            connection.check_heard()
        for connection in list(self._slots.get(self._now, ())):
            connection.ping()

    async def run(self) -> None:
        """Turn, tick by tick, until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + self._tick, loop.time())
            await asyncio.sleep(due - loop.time())
            self.turn()
