"""A limit of log entries of one kind: a client that causes them must not fill a disk. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

MOST_ENTRIES: Final = 20
INTERVAL_SECONDS: Final = 10.0
"""How many entries of one kind are written in an interval, and its length; further entries are counted."""

MOST_KINDS: Final = 256
"""How many kinds are told apart. The relay has few; a library may make any number."""

OTHERS: Final = "(others)"
"""Name of the kind of all further events of a logger when there are too many kinds."""


class EntryKind(NamedTuple):
    """A kind of entries, which are counted together.

    Args:
        logger: its name.
        level: as a number of the standard library.
        event: its text, without values.
    """

    logger: str
    level: int
    event: str


@dataclass(slots=True)
class _Interval:
    """The entries of one kind since `began_at`."""

    began_at: float
    entries: int = 0
    left_out: int = 0


class LogRate:
    """Admits the first entries of each kind in each interval, and counts the others.

        for kind, left_out in rate.ended(now):
            ...  # write how many were left out
        if rate.admit(kind, now):
            ...  # write it

    Args:
        most_entries: admitted entries of one kind in an interval.
        interval_seconds: length of an interval, which begins with its first entry.
        most_kinds: kinds that are told apart at a time.

    Attributes:
        left_out_total: number of entries that were not admitted, of all kinds.
        next_end: when `ended` will return something; None: nothing was left out.
    """

    def __init__(
        self,
        most_entries: int = MOST_ENTRIES,
        interval_seconds: float = INTERVAL_SECONDS,
        most_kinds: int = MOST_KINDS,
    ) -> None:
        self.left_out_total = 0
        self.next_end: float | None = None
        self._most_entries = most_entries
        self._interval_seconds = interval_seconds
        self._most_kinds = most_kinds
        self._intervals: dict[EntryKind, _Interval] = {}

    def admit(self, kind: EntryKind, now: float) -> bool:
        """Return whether an entry may be written.

        Args:
            kind: of the entry.
            now: time in seconds, of a clock that never goes back.
        """
        if kind not in self._intervals and len(self._intervals) >= self._most_kinds:
            self._forget(now)
            if len(self._intervals) >= self._most_kinds:
                kind = kind._replace(event=OTHERS)
        interval = self._intervals.get(kind)
        if interval is None or (self._has_ended(interval, now) and not interval.left_out):
            interval = self._intervals[kind] = _Interval(now)
        if interval.entries < self._most_entries:
            interval.entries += 1
            return True
        interval.left_out += 1
        self.left_out_total += 1
        end = interval.began_at + self._interval_seconds
        self.next_end = end if self.next_end is None else min(end, self.next_end)
        return False

    def ended(self, now: float) -> list[tuple[EntryKind, int]]:
        """Return how many entries were left out, by kind, in intervals that are over; each number is returned once."""
        if self.next_end is None or now < self.next_end:
            return []
        over = [(kind, interval.left_out) for kind, interval in self._intervals.items() if interval.left_out]
        over = [(kind, left_out) for kind, left_out in over if self._has_ended(self._intervals[kind], now)]
        for kind, _ in over:
            del self._intervals[kind]
        ends = [it.began_at + self._interval_seconds for it in self._intervals.values() if it.left_out]
        self.next_end = min(ends, default=None)
        return over

    def _has_ended(self, interval: _Interval, now: float) -> bool:
        return now - interval.began_at >= self._interval_seconds

    def _forget(self, now: float) -> None:
        """Forget the intervals that are over and have left out nothing."""
        self._intervals = {
            kind: interval
            for kind, interval in self._intervals.items()
            if interval.left_out or not self._has_ended(interval, now)
        }
