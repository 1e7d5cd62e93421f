"""A clock that tests set forward."""

from __future__ import annotations


class Clock:
    """Returns seconds, as the clock of an event loop does.

    Args:
        now: where it begins.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
