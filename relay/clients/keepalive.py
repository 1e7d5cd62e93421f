"""One timing wheel that pings all connections, instead of a timer for each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from itertools import count
from typing import Final, Protocol

from relay.pauses import pause

TICK_SECONDS: Final = 0.5
"""A turn of the wheel at most: other work wakes the gateway so often anyway."""

SHORTEST_TICK_SECONDS: Final = 0.05
"""A turn at least; between the two it is a tenth of the timeout, which is kept so exactly."""

BATCH: Final = 256
"""Clients that are pinged together, while there are slots: for 2 ms others wait. To wake for a few, for their pings and
for their pongs, costs more than these."""


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

    Clients get slots in batches. Newcomers fill one that has shrunk; else they begin one, in a slot without clients, or
    in any when there is none. The wheel turns one slot per tick and never catches up: after a stall of this process,
    clients' answers that wait in the sockets are read before a client is closed.

    Args:
        interval: seconds between two pings of a client.
        timeout: seconds that it has for an answer; at most the interval.
    """

    def __init__(self, interval: float, timeout: float) -> None:
        longest = max(SHORTEST_TICK_SECONDS, min(TICK_SECONDS, timeout / 10))
        self._count = max(1, round(interval / longest))
        self._tick = interval / self._count
        # Only occupied slots are stored: an hour has 7,200, and empty sets would take 1.5 MB.
        self._slots: dict[int, set[Pingable]] = {}
        self._delay = min(self._count, max(1, round(timeout / self._tick)))
        self._now = 0
        # The slot that newcomers get, until its batch is whole.
        self._filling = 0

    def add(self, client: Pingable) -> None:
        """Begin to ping a client; its first ping comes within the interval."""
        slots = self._slots
        if len(slots.get(self._filling, ())) % BATCH == 0:
            self._filling = self._choose()
        client.slot = self._filling
        slots.setdefault(client.slot, set()).add(client)

    def remove(self, client: Pingable) -> None:
        """Ping a client no more."""
        others = self._slots.get(client.slot, set())
        others.discard(client)
        if not others:
            self._slots.pop(client.slot, None)

    def turn(self) -> Iterator[None]:
        """Check the clients that were pinged a timeout ago, and ping those of the next slot.

        Yields after each batch, as others should have their turn.
        """
        self._now = (self._now + 1) % self._count
        for client in list(self._slots.get((self._now - self._delay) % self._count, ())):
            client.check_heard()
        clients = self._slots.get(self._now, set())
        for number, client in enumerate(list(clients), 1):
            if client in clients:  # others may have left since the last batch
                client.ping()
            if number % BATCH == 0:
                yield

    async def run(self) -> None:
        """Turn, tick by tick, until cancelled."""
        while True:
            await pause(self._tick)
            for _ in self.turn():
                await asyncio.sleep(0)

    def _choose(self) -> int:
        """Return the next slot to be filled: one whose batch has shrunk, else one without clients, else any."""
        slots = self._slots
        start = random.randrange(self._count)  # noqa: S311  # spreads load, guards nothing
        if len(slots) == self._count:
            return start
        for slot, clients in slots.items():
            if len(clients) <= BATCH // 2:
                return slot
        return next(slot % self._count for slot in count(start) if slot % self._count not in slots)
