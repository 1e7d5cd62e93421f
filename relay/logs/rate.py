"""A limit for log entries of one kind: a client that causes them must not fill a disk. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

MOST_ENTRIES: Final = 20
INTERVAL_SECONDS: Final = 10.0
"""So many entries of one kind are written in so many seconds; the others are counted."""

MOST_KINDS: Final = 256
"""Kinds that are told apart. The relay's own are few; libraries may make up any number."""

OTHERS: Final = "(others)"
"""Stands for the events of one logger for which there is no more room."""


class EntryKind(NamedTuple):
    """What is counted together.

    Args:
        logger: its name.
        level: as a number of the standard library.
        event: without the values in it.
    """

    logger: str
    level: int
    event: str


@dataclass(slots=True)
class _Interval:
    """What has come of one kind since `began_at`."""

    began_at: float
    entries: int = 0
    left_out: int = 0


class LogRate:
    """Lets the first entries of each kind pass in each interval, and counts those that are left out.

        for kind, left_out in rate.ended(now):
            ...  # write that so many more have come
        if rate.admit(kind, now):
            ...  # write it

    Args:
        most_entries: of one kind in an interval.
        interval_seconds: its length; it begins with its first entry.
        most_kinds: that are told apart at a time.

    Attributes:
        left_out_total: entries that did not pass, of all kinds.
        next_end: when `ended` will have something to tell; None: nothing was left out.
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
            now: in seconds, of a clock that never goes back.
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
        """Return how many entries were left out in intervals that are over; each number is told once."""
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
        """Make room: what is over, and has left out nothing."""
        self._intervals = {
            kind: interval
            for kind, interval in self._intervals.items()
            if interval.left_out or not self._has_ended(interval, now)
        }
