"""One timing wheel that pings all connections, instead of a timer for each."""

from __future__ import annotations

import asyncio
import random
from typing import Protocol

TICK_SECONDS = 0.1


class Pingable(Protocol):
    """A client that keepalive pings.

    Attributes:
        slot: number of its slot on the wheel; only the wheel uses it.
    """

    slot: int

    def ping(self) -> None:
        """Send a ping, and note that nothing has been heard since."""

    def check_heard(self) -> None:
        """Close if nothing has been heard since the last ping."""


class Keepalive:
    """Pings each client once per interval, and checks a timeout later whether it has answered.

    A client gets a random slot, so that clients that came together are not pinged together. The wheel
    turns one slot per tick and never catches up: after a stall of this process, clients' answers that wait in
    the sockets are read before a client is closed.

    Args:
        interval: seconds between two pings of a client.
        timeout: seconds that it has for an answer; at most the interval.
    """

    def __init__(self, interval: float, timeout: float) -> None:
        self._count = max(1, round(interval / TICK_SECONDS))
        self._tick = interval / self._count
        # Only occupied slots are stored: an hour has 36,000, and empty sets would take 8 MB.
        self._slots: dict[int, set[Pingable]] = {}
        self._delay = min(self._count, max(1, round(timeout / self._tick)))
        self._now = 0

    def add(self, client: Pingable) -> None:
        """Begin to ping a client; its first ping comes at a random point of the interval."""
        client.slot = random.randrange(self._count)  # noqa: S311  # spreads load, guards nothing
        self._slots.setdefault(client.slot, set()).add(client)

    def remove(self, client: Pingable) -> None:
        """Ping a client no more."""
        others = self._slots.get(client.slot, set())
        others.discard(client)
        if not others:
            self._slots.pop(client.slot, None)

    def turn(self) -> None:
        """Check the clients that were pinged a timeout ago, and ping those of the next slot."""
        self._now = (self._now + 1) % self._count
        for client in list(self._slots.get((self._now - self._delay) % self._count, ())):
            client.check_heard()
        for client in list(self._slots.get(self._now, ())):
            client.ping()

    async def run(self) -> None:
        """Turn, tick by tick, until cancelled."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            due = max(due + self._tick, loop.time())
            await asyncio.sleep(due - loop.time())
            self.turn()
