"""Readings of who is on large channels: one after the other, with pauses, however many clients ask.

One member costs about 5 µs until a client is told of it: it is read, decoded and encoded. A client asks with 50 bytes,
and asks again as soon as it has its answer. So the answers about a large channel take a share of the time at most, and
clients that ask wait. A client that asks while a reading is under way gets the next one, with all others that wait: it
is never told of fewer clients than there were when it asked.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

LARGE: Final = 2000
"""Members. An answer about fewer takes 10 ms at most, in parts."""

PAUSE_SECONDS_PER_MEMBER: Final = 20e-6
"""Behind an answer: four times as long as it takes. One about 50,000 members has a second."""

ROUNDING_SECONDS: Final = 0.001
"""By which a timer may come too early."""

_T = TypeVar("_T")


class _Large(Generic[_T]):
    """One large channel, for as long as a client waits for it, or a pause lasts.

    Attributes:
        turn: held while an answer is made, and in the pause before it.
        found: what was read last.
        began_at: when that reading began.
        rests_until: end of the pause.
        waiting: how many wait, or have their turn.
    """

    __slots__ = ("began_at", "found", "rests_until", "turn", "waiting")

    def __init__(self, found: _T, began_at: float) -> None:
        self.turn = asyncio.Lock()
        self.found = found
        self.began_at = self.rests_until = began_at
        self.waiting = 0


class PacedReadings(Generic[_T]):
    """Reads channels, and large ones at their pace.

    Args:
        size: returns the number of members of what was read.
        costly: whether each answer costs as much as a reading, also one that is shared.
        large: see `LARGE`.
        pause_seconds: behind an answer, for each member.
        clock: returns the time in seconds; it never goes back.
    """

    def __init__(
        self,
        size: Callable[[_T], int],
        *,
        costly: bool,
        large: int = LARGE,
        pause_seconds: float = PAUSE_SECONDS_PER_MEMBER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._size = size
        self._costly = costly
        self._large = large
        self._pause_seconds = pause_seconds
        self._clock = clock
        self._channels: dict[str, _Large[_T]] = {}

    def __len__(self) -> int:
        """Return the number of channels that a client waits for, or that have a pause."""
        return len(self._channels)

    async def read(self, channel: str, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Return what is read of a channel, when it is its turn; raises what `ask` does."""
        asked_at = self._clock()
        large = self._channels.get(channel)
        if large is None:
            found = await ask()
            if self._size(found) >= self._large and channel not in self._channels:
                large = self._channels[channel] = _Large(found, asked_at)
                self._rest(channel, large)
            return found
        large.waiting += 1
        try:
            async with large.turn:
                return await self._read_large(channel, large, ask, asked_at)
        finally:
            large.waiting -= 1
            self._forget(channel, large)

    async def _read_large(
        self, channel: str, large: _Large[_T], ask: Callable[[], Awaitable[_T]], asked_at: float
    ) -> _T:
        shared = large.began_at >= asked_at
        if not shared or self._costly:
            await asyncio.sleep(large.rests_until - self._clock())
        if not shared:
            began_at = self._clock()
            large.found = await ask()
            large.began_at = began_at
        if not shared or self._costly:
            self._rest(channel, large)
        return large.found

    def _rest(self, channel: str, large: _Large[_T]) -> None:
        seconds = self._size(large.found) * self._pause_seconds
        large.rests_until = self._clock() + seconds
        asyncio.get_running_loop().call_later(seconds, self._forget, channel, large)

    def _forget(self, channel: str, large: _Large[_T]) -> None:
        """Forget a channel for which no client waits, when its pause is over; else this is called again."""
        over = self._clock() >= large.rests_until - ROUNDING_SECONDS
        if over and not large.waiting and self._channels.get(channel) is large:
            del self._channels[channel]
