"""Ends clients whose rights have expired, without a timer for each.

A client is in a bucket: those that expire within the next minute by the second, others by the minute or so, by the
hour or so, and so on, the coarser the further ahead. When the time of a bucket has come, its clients go to finer ones.
So however many clients there are, and however far ahead they expire, there are a few hundred buckets at most, and
looking through these is all that is to be done when no client is due.

The clock may be set: buckets are asked for by the time that it is, not passed one after the other.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from relay.pauses import pause

SPREAD_SECONDS: Final = 10.0
"""Clients that expire together are closed over so many seconds: each comes back, and a handshake costs more than a
close."""

UNSPREAD_PER_SECOND: Final = 100.0
"""Fewer of them are closed faster, at this pace."""

LOOK_SECONDS: Final = 0.5
"""Between two looks at the buckets."""

TURN_SECONDS: Final = 0.02
"""Between two looks at the clients that are being closed."""

CLIENTS_PER_TURN: Final = 1000
"""Clients that are taken out of buckets before others have their turn: a millisecond."""

_LEVELS: Final = tuple(range(0, 36, 6))
"""Levels of buckets, by the bits by which seconds are shifted: they cover 1, 64, 4,096… up to a billion seconds, which
is about a minute, an hour, three days, half a year, 34 years."""

_FAR: Final = 10**11
"""Seconds since 1970 that count as never: whatever a program gives, numbers of buckets stay small."""


class Expiring(Protocol):
    """A client whose right expires, or a subscription."""

    def expire(self) -> None:
        """Begin to end it, as its right is over; nothing happens when it is ending already."""


@dataclass(slots=True)
class _Batch:
    """Clients that have expired together.

    Args:
        clients: those that are still to be closed, and when each expired.
        size: how many they were.
        began_at: loop time.
        seconds: over which they are closed.
    """

    clients: dict[Expiring, float]
    size: int
    began_at: float
    seconds: float


class Expirations:
    """The clients of a gateway that have an end, and closes them after it.

    A client costs its place in a dict, 27 to 54 bytes; one whose right doesn't expire costs nothing.

    Args:
        now: returns the time in seconds since 1970.

    Attributes:
        now: see above.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        # Of each level by their numbers: seconds since 1970 by the seconds that a bucket covers. The values are the
        # objects that the identities of the clients hold anyway.
        self._levels: dict[int, dict[int, dict[Expiring, float]]] = {bits: {} for bits in _LEVELS}
        self._batches: list[_Batch] = []

    def __len__(self) -> int:
        """Return how many clients are to be closed now or later."""
        waiting = sum(len(bucket) for buckets in self._levels.values() for bucket in buckets.values())
        return waiting + sum(len(batch.clients) for batch in self._batches)

    def add(self, client: Expiring, expires_at: float) -> None:
        """Close a client when its right has expired.

        Args:
            client: is not here yet.
            expires_at: seconds since 1970, also in the past.
        """
        second = _second(expires_at)
        ahead = second - self.now()
        for bits in _LEVELS:
            if ahead < 64 << bits:
                break
        buckets, number = self._levels[bits], second >> bits
        bucket = buckets.get(number)
        if bucket is None:
            bucket = buckets[number] = {}
        bucket[client] = expires_at

    def discard(self, client: Expiring, expires_at: float) -> None:
        """Forget a client, which has gone or gets another end; nothing happens when it isn't here.

        Args:
            client: the client.
            expires_at: as it was added with.
        """
        second = _second(expires_at)
        for bits, buckets in self._levels.items():
            bucket = buckets.get(second >> bits)
            if bucket is not None and bucket.pop(client, None) is not None:
                if not bucket:
                    del buckets[second >> bits]
                return
        for batch in self._batches:
            if batch.clients.pop(client, None) is not None:
                return

    def turn(self, at: float) -> bool:
        """Take clients whose time has come out of their buckets, and close those whose turn it is.

        Args:
            at: loop time, in seconds: the pace of closing must not depend on a clock that may be set.

        Returns:
            Whether there are more in the buckets.
        """
        more = self._open_buckets(at)
        for batch in self._batches:
            gone = at - batch.began_at
            due = batch.size if gone >= batch.seconds else int(gone / batch.seconds * batch.size) + 1
            while batch.clients and batch.size - len(batch.clients) < due:
                client, _ = batch.clients.popitem()
                client.expire()
        self._batches = [batch for batch in self._batches if batch.clients]
        return more

    async def run(self) -> None:
        """Take turns until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            more = self.turn(loop.time())
            if more or self._batches:
                await asyncio.sleep(0 if more else TURN_SECONDS)
            else:
                await pause(LOOK_SECONDS)

    def _open_buckets(self, at: float) -> bool:
        now = self.now()
        left = CLIENTS_PER_TURN
        expired: dict[Expiring, float] = {}
        due = [
            (buckets, number) for bits, buckets in self._levels.items() for number in buckets if number << bits <= now
        ]
        for buckets, number in due:
            bucket = buckets[number]
            while bucket and left:
                left -= 1
                client, expires_at = bucket.popitem()
                if _second(expires_at) <= now:
                    expired[client] = expires_at
                else:
                    self.add(client, expires_at)
            if not bucket:
                del buckets[number]
        if expired:
            seconds = min(SPREAD_SECONDS, (len(expired) - 1) / UNSPREAD_PER_SECOND)
            self._batches.append(_Batch(expired, len(expired), at, seconds))
        return not left


def _second(expires_at: float) -> int:
    """Return the first whole second at which a right has expired."""
    return math.ceil(expires_at if 0 <= expires_at < _FAR else min(max(0, expires_at), _FAR))
