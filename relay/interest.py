"""The interest of a gateway in one channel of the bus, and who waits for the bus to acknowledge it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Acknowledged = asyncio.Future[Any]
"""Done when the bus has acknowledged a subscription, or refuses it; shared by all who wait for it."""

Waiter = Callable[[Acknowledged], object]
"""Is called once, when the future is done, unless it was forgotten before. Must not raise."""


@dataclass(slots=True)
class Interest:
    """The interest of this gateway in one channel of the bus, shared by all clients that claim the channel.

    Clients give up waiting, all at once when the bus is away. To take a callback from a future looks through all of its
    callbacks: 10,000 clients that give up would cost 2.5 s. So the future has one, and the waiters are kept here.

    Args:
        channel: name of the channel.
        claims: number of clients that are subscribed or about to be.
        positioned: whether the messages of the channel have positions; see `relay.recovery`.
        present: whether it is known who is on the channel; see `relay.presence`.
        unsubscribing: timer of the delayed unsubscribe; None while there are claims.
    """

    channel: str
    claims: int = 0
    positioned: bool = False
    present: bool = False
    unsubscribing: asyncio.TimerHandle | None = field(default=None, repr=False)
    # None for most of the time. After a refusal clients may wait for another future than those before.
    _waiters: dict[Acknowledged, dict[Waiter, None]] | None = field(default=None, repr=False)

    def wait(self, acknowledged: Acknowledged, waiter: Waiter) -> None:
        """Call a function when the bus has answered.

        Args:
            acknowledged: not done yet; see `Node.claim`.
            waiter: each one only once.
        """
        if self._waiters is None:
            self._waiters = {}
        waiters = self._waiters.get(acknowledged)
        if waiters is None:
            waiters = self._waiters[acknowledged] = {}
            acknowledged.add_done_callback(self._settle)
        waiters[waiter] = None

    async def settled(self, acknowledged: Acknowledged, seconds: float) -> None:
        """Wait until the bus has answered, or so many seconds. The future, which is shared, is not cancelled or raised.

        `asyncio.wait` does that, too; it takes twice the time, which each client of a new channel would pay.
        """
        loop = asyncio.get_running_loop()
        waiter = loop.create_future()

        def wake(_: object = None) -> None:
            if not waiter.done():
                waiter.set_result(None)

        self.wait(acknowledged, wake)
        timer = loop.call_later(seconds, wake)
        try:
            await waiter
        finally:
            timer.cancel()
            self.forget(acknowledged, wake)

    def forget(self, acknowledged: Acknowledged, waiter: Waiter) -> None:
        """Call a function no longer; nothing happens when it was called."""
        waiters = None if self._waiters is None else self._waiters.get(acknowledged)
        if waiters is not None and waiter in waiters:
            del waiters[waiter]
            if not waiters:
                self._take(acknowledged)
                acknowledged.remove_done_callback(self._settle)

    def _settle(self, acknowledged: Acknowledged) -> None:
        for waiter in self._take(acknowledged):
            waiter(acknowledged)

    def _take(self, acknowledged: Acknowledged) -> dict[Waiter, None]:
        """Forget all who wait for a future, and return them."""
        if self._waiters is None:
            return {}
        waiters = self._waiters.pop(acknowledged, {})
        if not self._waiters:
            self._waiters = None
        return waiters
