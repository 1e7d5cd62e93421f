"""A client's subscription that the bus has not acknowledged yet."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from relay.errors import SubscribeError
from relay.interest import Acknowledged, Interest
from relay.protocols import Outcome

Settle = Callable[[str, Outcome, "SubscribeError | None"], None]
"""Called with the channel, the outcome to be told, and why there is no subscription: None when there is one."""


class PendingSubscription:
    """Waits for the bus, for a while.

    Args:
        interest: in the channel.
        acknowledged: done when the bus has acknowledged it; see `Node.claim`.
        outcome: what the protocol wants to be told.
        settle: called once, unless it is stopped before.
        seconds: for which the client waits.
    """

    __slots__ = ("_acknowledged", "_interest", "_settle", "_stopped", "_timer", "outcome")

    def __init__(
        self, interest: Interest, acknowledged: Acknowledged, outcome: Outcome, settle: Settle, seconds: float
    ) -> None:
        self._interest = interest
        self._acknowledged = acknowledged
        self._settle = settle
        self._stopped = False
        self.outcome = outcome
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)
        interest.wait(acknowledged, self._end)

    def stop(self) -> None:
        """Wait no more."""
        self._stopped = True
        self._timer.cancel()
        self._interest.forget(self._acknowledged, self._end)

    def _end(self, acknowledged: Acknowledged) -> None:
        if self._stopped:
            return  # after the bus had answered, and before the event loop came to tell
        self.stop()
        channel = self._interest.channel
        self._settle(channel, self.outcome, refusal(channel, acknowledged))

    def _expire(self) -> None:
        self.stop()
        channel = self._interest.channel
        self._settle(channel, self.outcome, SubscribeError(channel, "the bus did not acknowledge it in time"))


def refusal(channel: str, acknowledged: Acknowledged) -> SubscribeError | None:
    """Return why the bus refuses a subscription; None when it has acknowledged it.

    Args:
        channel: its name.
        acknowledged: a future that is done; see `Node.claim`.
    """
    if acknowledged.cancelled() or acknowledged.exception() is not None:
        return SubscribeError(channel, "the bus refused it")
    return None
