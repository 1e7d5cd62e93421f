"""Message timeouts: clients that have sent a part of a message, and not the rest in time."""

from __future__ import annotations

import asyncio
from typing import Protocol

CHECKS_PER_TIMEOUT = 4

LEAST_SECONDS = 30.0
SLOWEST_BYTES_PER_SECOND = 10_000
"""What the largest message is given on top: a slow line must not be taken for a client that never ends."""


class Unfinished(Protocol):
    """A client that has sent a part of a message."""

    @property
    def reading(self) -> bool:
        """Whether it is read; while it isn't, the rest may wait in its socket."""

    def give_up_message(self) -> None:
        """Close: the rest of the message has not come in time."""


def message_timeout(max_message_bytes: int) -> float:
    """Return how many seconds a message may take from its first to its last byte."""
    return LEAST_SECONDS + max_message_bytes / SLOWEST_BYTES_PER_SECOND


class UnfinishedMessages:
    """Closes clients whose message isn't finished in time; else each could hold a message's memory for ever.

    Time is counted in checks, so that after a stall of this process what waits in the sockets is read before
    a client is closed.

    Args:
        timeout: seconds that a message may take; a check's interval more is possible.
    """

    def __init__(self, timeout: float) -> None:
        self._interval = timeout / CHECKS_PER_TIMEOUT
        self._checks = 0
        self._begun: dict[Unfinished, int] = {}

    def __len__(self) -> int:
        """Return how many messages are unfinished now."""
        return len(self._begun)

    def add(self, connection: Unfinished) -> None:
        """Note that a message has begun; nothing happens when that is known."""
        self._begun.setdefault(connection, self._checks)

    def discard(self, connection: Unfinished) -> None:
        """Note that it is finished, or never will be."""
        self._begun.pop(connection, None)

    def check(self) -> None:
        """Close the clients whose message has taken too long."""
        self._checks += 1
        for connection, begun in list(self._begun.items()):
            if not connection.reading:
                self._begun[connection] = self._checks
            elif self._checks - begun > CHECKS_PER_TIMEOUT:
                self.discard(connection)
                connection.give_up_message()

    async def run(self) -> None:
        """Check again and again, until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            self.check()
