"""Waits before another try: with jitter, and longer from failure to failure, as clients should."""

from __future__ import annotations

import asyncio
import random
from typing import Final

FIRST_DELAY: Final = 0.2
LONGEST_DELAY: Final = 5.0


class Backoff:
    """The pauses of one client that comes back."""

    __slots__ = ("_longest",)

    def __init__(self) -> None:
        self._longest = FIRST_DELAY

    async def pause(self) -> None:
        """Wait, and twice as long at most before the next try."""
        longest, self._longest = self._longest, min(2 * self._longest, LONGEST_DELAY)
        await asyncio.sleep(random.uniform(0, longest))  # noqa: S311  # spreads load, guards nothing

    def reset(self) -> None:
        """Begin with the shortest pause again: a try has succeeded."""
        self._longest = FIRST_DELAY
