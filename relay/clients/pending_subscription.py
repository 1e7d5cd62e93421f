"""A client's subscription that the bus has not acknowledged yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from relay.errors import SubscribeError
from relay.protocols import Outcome

Settle = Callable[[str, Outcome, "SubscribeError | None"], None]
"""Called with the channel, the outcome to be told, and why there is no subscription: None when there is one."""


class PendingSubscription:
    """Waits for the bus, for a while.

    The future is shared by all clients that wait for the channel: it must not keep those that have left.

    Args:
        channel: its name.
        acknowledged: done when the bus has acknowledged it; see `Node.claim`.
        outcome: what the protocol wants to be told.
        settle: called once, unless it is stopped before.
        seconds: for which the client waits.
    """

    __slots__ = ("_acknowledged", "_channel", "_settle", "_stopped", "_timer", "outcome")

    def __init__(
        self, channel: str, acknowledged: asyncio.Future[None], outcome: Outcome, settle: Settle, seconds: float
    ) -> None:
        self._channel = channel
        self._acknowledged = acknowledged
        self._settle = settle
        self._stopped = False
        self.outcome = outcome
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)
        acknowledged.add_done_callback(self._end)

    def stop(self) -> None:
        """Wait no more."""
        self._stopped = True
        self._timer.cancel()
        self._acknowledged.remove_done_callback(self._end)

    def _end(self, acknowledged: asyncio.Future[None]) -> None:
        if self._stopped:
            return  # after the bus had answered, and before the event loop came to tell
        self.stop()
        self._settle(self._channel, self.outcome, refusal(self._channel, acknowledged))

    def _expire(self) -> None:
        self.stop()
        late = SubscribeError(self._channel, "the bus did not acknowledge it in time")
        self._settle(self._channel, self.outcome, late)


def refusal(channel: str, acknowledged: asyncio.Future[None]) -> SubscribeError | None:
    """Return why the bus refuses a subscription; None when it has acknowledged it.

    Args:
        channel: its name.
        acknowledged: a future that is done; see `Node.claim`.
    """
    if acknowledged.cancelled() or acknowledged.exception() is not None:
        return SubscribeError(channel, "the bus refused it")
    return None
