"""An event loop whose clock stands still while there is something to do, and jumps to the next timer when there isn't.

A deadline of half a minute costs nothing, and what happens has the same order on every machine.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Mapping
from typing import Any


class _Selector(selectors.BaseSelector):
    """Asks the kernel only when nothing else is left to do: most turns of the loop make no system call."""

    def __init__(self) -> None:
        self._kernel = selectors.DefaultSelector()
        self.now = 0.0
        self.settling: asyncio.Future[None] | None = None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return []
        if self.settling is not None:
            settling, self.settling = self.settling, None
            settling.set_result(None)
            return []
        if timeout is None:
            return self._kernel.select(None)
        if events := self._kernel.select(0):
            return events
        self.now += timeout
        return []

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._kernel.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._kernel.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        return self._kernel.modify(fileobj, events, data)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        found = self._kernel.get_map()
        assert found is not None
        return found

    def close(self) -> None:
        self._kernel.close()


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own, in seconds from 0."""

    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the virtual time."""
        return self._clock.now

    async def settle(self) -> None:
        """Return when nothing is left to do but to wait for a timer. Only one task at a time may ask for it."""
        if self._ready:  # type: ignore[attr-defined]  # else most bytes that come alone would cost a turn
            self._clock.settling = self.create_future()
            await self._clock.settling
