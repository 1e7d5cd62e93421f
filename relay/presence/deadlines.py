"""What is due after a while, in order. Pure: the clock is given."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

_K = TypeVar("_K", bound=Hashable)


class Deadlines(Generic[_K]):
    """Keys that are all due equally long after they were added. So the first one to come is the first to go.

    Args:
        seconds: from when a key is added to when it is due.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._due: OrderedDict[_K, float] = OrderedDict()

    def __len__(self) -> int:
        """Return how many keys wait."""
        return len(self._due)

    def __iter__(self) -> Iterator[_K]:
        """Return the keys, the first one that is due first."""
        return iter(self._due)

    def __contains__(self, key: object) -> bool:
        """Return whether a key waits."""
        return key in self._due

    @property
    def first(self) -> float | None:
        """When the first key is due; None: there is none."""
        return next(iter(self._due.values()), None)

    def add(self, key: _K, now: float) -> None:
        """Let a key wait, from now on, in seconds."""
        self._due.pop(key, None)
        self._due[key] = now + self._seconds

    def discard(self, key: _K) -> None:
        """Let a key wait no more; nothing happens when it doesn't."""
        self._due.pop(key, None)

    def expire(self, now: float) -> Iterator[_K]:
        """Take out the keys that are due, one after the other."""
        while (due := self.first) is not None and due <= now:
            yield self._due.popitem(last=False)[0]
