"""The circuit to a server: while the server is down it is asked now and then, instead of by every client. Pure."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Final

FAILURES: Final = 5
"""So many in a row, without an answer between them, are no accident."""

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries, which double from the first to the longest. Not longer: clients would wait for a server
that has come back, and a client that can make it hang would keep all others out."""


class Circuit:
    """Decides whether a server is asked.

    Args:
        now: returns the time in seconds, of a clock that never goes back.
        spread: returns a factor for a pause; None: a random one near 1, as gateways must not try in step.
    """

    def __init__(self, now: Callable[[], float], spread: Callable[[], float] | None = None) -> None:
        self._now = now
        self._spread = _spread if spread is None else spread
        self._failures = 0
        self._tries = 0
        self._next_try = 0.0

    @property
    def open(self) -> bool:
        """Whether the server counts as down: the last answers have failed to come."""
        return self._failures >= FAILURES

    @property
    def blocked(self) -> bool:
        """Whether a request would not be let through now."""
        return self.open and self._now() < self._next_try

    def let_through(self) -> bool:
        """Return whether a request may be sent. While the circuit is open one may, and then none for a pause."""
        if self.blocked:
            return False
        if self.open:
            self._tries += 1
            self._pause()
        return True

    def succeeded(self) -> None:
        """Note that the server has answered, whatever it said."""
        self._failures = self._tries = 0

    def failed(self) -> None:
        """Note that the server has not answered."""
        self._failures += 1
        if self._failures == FAILURES:  # not again: the others were sent before
            self._pause()

    def _pause(self) -> None:
        self._next_try = self._now() + min(FIRST_PAUSE * 2**self._tries, LONGEST_PAUSE) * self._spread()


def _spread() -> float:
    return random.uniform(0.8, 1.2)  # noqa: S311  # spreads load, guards nothing
