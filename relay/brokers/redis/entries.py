"""Entries of a channel's stream in Redis: each has one or several messages; see `relay.brokers.redis.scripts`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from relay.brokers.envelope import HEADER_BYTES
from relay.position import MAX_OFFSET

Entry = tuple[bytes, Sequence[bytes]]
"""Its id, and its fields: names and envelopes in turns."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages a reading is to bring.

    Args:
        size: so many of the newest messages are kept.
        size_bytes: so many bytes of the newest messages are kept, but always the newest one.
        since: messages after this offset, with `newest_first` before it; None: all.
        limit: how many at most.
        newest_first: in which order entries come, and messages are told.
    """

    size: int
    size_bytes: int
    since: int | None
    limit: int
    newest_first: bool

    def pick(self, entries: Sequence[Entry], top: int, bytes_: int) -> Iterator[tuple[int, bytes]]:
        """Yield offsets and envelopes of the messages that are wanted, and are kept.

        Args:
            entries: those that may have some.
            top: offset of the newest message.
            bytes_: of all messages so far.
        """
        low, high = max(1, top - self.size + 1), MAX_OFFSET
        if self.since is not None and self.newest_first:
            high = self.since - 1
        elif self.since is not None:
            low = max(low, self.since + 1)
        room = self.limit
        for entry in entries:
            messages = list(_messages_of(entry))
            for offset, before, envelope in reversed(messages) if self.newest_first else messages:
                kept = bytes_ - before <= self.size_bytes or offset == top
                if room and kept and low <= offset <= high:
                    room -= 1
                    yield offset, envelope


def _messages_of(entry: Entry) -> Iterator[tuple[int, int, bytes]]:
    """Yield offset, bytes before, and envelope of each message."""
    last, _, text = entry[0].partition(b"-")
    envelopes = entry[1][1::2]
    before = int(text)
    for offset, envelope in enumerate(envelopes, int(last) - len(envelopes) + 1):
        yield offset, before, envelope
        before += len(envelope) - HEADER_BYTES
