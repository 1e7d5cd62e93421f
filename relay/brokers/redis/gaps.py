"""The gaps that are not over yet: which channels are not heard, and since when. Pure: the clock is injected."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable

from relay.brokers.redis.subscribe_commands import BusSubscription


class Gaps:
    """Channels whose messages may be missed now.

    A channel leaves in one of two ways, and its gap is reported each time: it is heard again, or it never will be.
    Being unsubscribed meanwhile is no third way: its clients have missed messages all the same.

    Args:
        report: called with the names of channels, and the seconds since the first of them was last heard for certain.
        clock: returns seconds.

    Attributes:
        channels: those that are not heard, and when each was last heard for certain; only to look at.
    """

    def __init__(self, report: Callable[[Collection[str], float], None], clock: Callable[[], float]) -> None:
        self._report = report
        self._clock = clock
        self.channels: dict[str, float] = {}
        # Channels that were unsubscribed, and when, while it is uncertain whether they were heard until then. The
        # oldest first.
        self._left: dict[str, float] = {}
        self._opened_at = clock()
        self._heard_until = -math.inf
        self._invalid_since = math.inf

    def __len__(self) -> int:
        """Return how many channels are not heard."""
        return len(self.channels)

    @property
    def invalidated(self) -> bool:
        """Whether it has turned out that the link didn't receive everything, so that it has to be reopened."""
        return self._invalid_since < math.inf

    def link_opened(self) -> None:
        """Note that a fresh link is brought into use: what was wrong with the last one says nothing about it."""
        self._opened_at = self._clock()
        self._invalid_since = math.inf

    def heard(self, until: float) -> None:
        """Note that everything was received that was published until a time."""
        self._heard_until = max(self._heard_until, until)
        while self._left and next(iter(self._left.values())) <= until:
            del self._left[next(iter(self._left))]

    def leave(self, channel: str) -> None:
        """Note that a channel is unsubscribed, on a link that may turn out to have been silent for a while."""
        self._left.pop(channel, None)
        self._left[channel] = self._clock()

    def invalidate(self, since: float) -> None:
        """Distrust what was heard since a time, or since the link was opened if that was later."""
        self._invalid_since = min(self._invalid_since, max(since, self._opened_at))

    def begin(self, channels: Iterable[str], answered_until: float) -> None:
        """Note that channels are not heard any more, nor those that were unsubscribed while it was uncertain.

        A channel that has a gap already keeps it.

        Args:
            channels: their names.
            answered_until: when the last heartbeat was sent that Redis has answered: it answers in order, so everything
                was received that was published before.
        """
        since = min(max(answered_until, self._heard_until), self._invalid_since)
        for channel in (*self._left, *channels):
            self.channels.setdefault(channel, since)
        self._left.clear()

    def end(self) -> None:
        """Report the gap of all channels."""
        self._end(list(self.channels))

    def end_heard(self, wanted: Iterable[BusSubscription]) -> None:
        """Report the gap of all channels that are heard again, and of those that aren't wanted any more."""
        silent = {subscription.name for subscription in wanted if not subscription.acknowledged.done()}
        self._end([channel for channel in self.channels if channel not in silent])

    def end_one(self, channel: str) -> None:
        """Report the gap of one channel, if it has one."""
        if channel in self.channels:
            self._end([channel])

    def _end(self, channels: list[str]) -> None:
        if channels:
            since = min([self.channels.pop(channel) for channel in channels])
            self._report(channels, max(0.0, self._clock() - since))
