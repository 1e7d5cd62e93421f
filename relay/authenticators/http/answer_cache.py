"""The decisions of the back end that count for some seconds more. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from relay.auth.authenticator import Identity
from relay.authenticators.http.answer import Decision

MOST_ANSWERS: Final = 8192
"""A decision takes about a kilobyte, with the rights of its own that it may hold, and at most `MAX_SERVER_SIDE_BYTES`
more of what its client is given."""


class AnswerCache:
    """Decisions by question; of too many those go that were asked for longest ago.

    Refusals are kept like the others: a client that is refused comes again at once, and would be asked about each time.

    Args:
        seconds: for which a decision counts.
        now: returns the time in seconds since 1970.
        most: decisions.
    """

    def __init__(self, seconds: float, now: Callable[[], float], most: int = MOST_ANSWERS) -> None:
        self._seconds = seconds
        self._now = now
        self._most = most
        self._kept: OrderedDict[bytes, tuple[float, Decision]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many decisions are kept."""
        return len(self._kept)

    def find(self, key: bytes) -> Decision | None:
        """Return the decision on a question; None: there is none that still counts."""
        found = self._kept.get(key)
        if found is None:
            return None
        until, decision = found
        if not until - self._seconds <= self._now() < until:  # also when the clock was set back
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        return decision

    def keep(self, key: bytes, decision: Decision) -> None:
        """Keep a decision, but not beyond the end of the right that it gives."""
        until = self._now() + self._seconds
        if isinstance(decision, Identity) and decision.expires_at is not None:
            until = min(until, decision.expires_at)
        self._kept[key] = (until, decision)
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
