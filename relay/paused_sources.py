"""Publishers that are paused until the bus takes more."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Protocol

from relay.brokers import Source

RESUMED_PER_TURN: Final = 64
"""How many paused publishers go on before the event loop gets its turn: each may have kept messages."""

HELD_BACK_PER_TURN: Final = 3
"""How many of these publish as fast as they can: each brings a whole read buffer."""


class PausableSource(Source, Protocol):
    """A source that can be paused."""

    def pause_publishing(self) -> None:
        """Stop reading from the client until `resume_publishing`."""

    def resume_publishing(self) -> None:
        """Read from the client again."""


class PausedSources:
    """Sources that are paused. They go on one after the other, as long as the bus takes more.

    Args:
        full: returns whether no more messages of clients should go to the bus now.
    """

    def __init__(self, full: Callable[[], bool]) -> None:
        self._loop = asyncio.get_running_loop()
        self._full = full
        # The source that was paused first goes on first.
        # Of each, whether it publishes as fast as it can.
        self._paused: OrderedDict[PausableSource, bool] = OrderedDict()
        self._to_resume = 0
        self._resuming: asyncio.Handle | None = None

    def __len__(self) -> int:
        """Return how many sources are paused."""
        return len(self._paused)

    def add(self, source: PausableSource, *, held_back: bool = False) -> None:
        """Pause a source; nothing more happens when it is.

        Args:
            source: publishes.
            held_back: whether it does so as fast as it can.
        """
        paused = source in self._paused
        self._paused[source] = held_back or self._paused.get(source, False)
        if not paused:
            source.pause_publishing()

    def discard(self, source: PausableSource) -> None:
        """Forget a source that has left; nothing happens when it isn't paused."""
        self._paused.pop(source, None)

    def resume(self) -> None:
        """Let those go on that are paused now: the bus takes more."""
        self._to_resume = len(self._paused)
        if self._resuming is None:  # not at once: a fault in a client's bytes must not reach the bus link
            self._resuming = self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        self._resuming = None
        fast = 0
        try:
            for _ in range(min(self._to_resume, RESUMED_PER_TURN)):
                if self._full() or not self._paused:
                    self._to_resume = 0
                    return
                self._to_resume -= 1
                source, held_back = self._paused.popitem(last=False)
                source.resume_publishing()
                fast += held_back
                if fast == HELD_BACK_PER_TURN:
                    return
        finally:
            if self._to_resume:
                self._resuming = self._loop.call_soon(self._resume)
