"""The gaps that are not over yet: which channels are not heard, and since when; pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable


class Gaps:
    """Channels whose messages may be missed now.

    A channel leaves in one of two ways, each of which tells its gap: it is heard again, or there will be no more
    hearing it here. That it has been left meanwhile is no third one: its clients have missed what they have missed.

    Args:
        tell: called with the names of channels, and the seconds since the first of them was last heard for certain.
        clock: returns seconds.
    """

    def __init__(self, tell: Callable[[Collection[str], float], None], clock: Callable[[], float]) -> None:
        self._tell = tell
        self._clock = clock
        self._since: dict[str, float] = {}
        # When channels were left of which it isn't certain yet that all was heard until then; the oldest first.
        self._left: dict[str, float] = {}
        self._opened_at = clock()
        self._heard_until = -math.inf
        self._invalid_since = math.inf

    def __len__(self) -> int:
        """Return how many channels are not heard."""
        return len(self._since)

    @property
    def invalidated(self) -> bool:
        """Whether it has turned out that the link hears too little, so that it has to be opened anew."""
        return self._invalid_since < math.inf

    def link_opened(self) -> None:
        """Note that a fresh link is brought into use, which is not to blame for the last one."""
        self._opened_at = self._clock()
        self._invalid_since = math.inf

    def heard(self, until: float) -> None:
        """Note that everything was heard that was said until a time."""
        self._heard_until = max(self._heard_until, until)
        while self._left and next(iter(self._left.values())) <= until:
            del self._left[next(iter(self._left))]

    def leave(self, channel: str) -> None:
        """Note that a channel is no longer wanted, on a link that may turn out to be silent since a while."""
        self._left.pop(channel, None)
        self._left[channel] = self._clock()

    def invalidate(self, since: float) -> None:
        """Take back that anything was heard since a time, or since the link was opened if that was later."""
        self._invalid_since = min(self._invalid_since, max(since, self._opened_at))

    def begin(self, channels: Iterable[str], answered_until: float) -> None:
        """Note that channels, and those that were left unheard, are not heard any more; an open gap stays as it is.

        Args:
            channels: their names.
            answered_until: when the last question was sent that Redis has answered: it answers in order, so all was
                heard that was said before.
        """
        since = min(max(answered_until, self._heard_until), self._invalid_since)
        for channel in (*self._left, *channels):
            self._since.setdefault(channel, since)
        self._left.clear()

    def end(self, but: Collection[str] = ()) -> None:
        """Tell the gap of all channels, but of those that are still not heard."""
        self._end([channel for channel in self._since if channel not in but])

    def end_one(self, channel: str) -> None:
        """Tell the gap of one channel, if it has one."""
        if channel in self._since:
            self._end([channel])

    def _end(self, channels: list[str]) -> None:
        if channels:
            since = min([self._since.pop(channel) for channel in channels])
            self._tell(channels, max(0.0, self._clock() - since))
