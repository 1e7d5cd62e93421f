"""Who sends messages when they are due, whatever the server makes of it."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter, deque
from typing import Final

from relay.loadtest.generator.frame_codec import TEXT, client_frame
from relay.loadtest.generator.payload import Stamp, encode, filler
from relay.loadtest.generator.timer import alarm
from relay.loadtest.plan.schedule import NANO, Timetable
from relay.loadtest.result.time_histogram import Buckets

SEND_NS: Final = 1_000_000
"""At high rates what falls due within so many ns is sent at once, and late by that much: a wake-up for each message
costs more than the message, and servers that can take several at a time would never be given them."""

PUNCTUAL: Final = 1_000_000_000
"""A message that is handed to its socket more ns after it was due doesn't count as sent at the offered rate."""


class Punctuality:
    """When the publishers of one worker sent their messages.

    Attributes:
        sent: second → messages that were sent in it.
        punctual: second → messages that were due in it and sent in time.
        lag: by how much they were sent later than due.
    """

    def __init__(self) -> None:
        self.sent: Counter[int] = Counter()
        self.punctual: Counter[int] = Counter()
        self.lag = Buckets()

    def note(self, due: int, now: int) -> None:
        """Take note of a message; ns since the run's start."""
        self.sent[now // 1_000_000_000] += 1
        self.lag.add_one((now - due) // 1000)
        if now - due < PUNCTUAL:
            self.punctual[due // 1_000_000_000] += 1


class Publisher:
    """One publisher of a channel.

    Args:
        number: of the publisher, in the whole run.
        channel: number of its channel.
        run: number of the run.
        size: bytes of a payload.
        template: text frame around a payload, with `{payload}` in it.
        epoch: ns of the monotonic clock at the run's start.
        punctuality: of all publishers of the worker.

    Attributes:
        record: when each message was sent, ns since the run's start.
        transport: of its connection; None while it has none or while the connection takes no more.
        owed: when the messages were due that have not been sent, ns since the run's start.
    """

    def __init__(
        self, number: int, channel: int, run: int, size: int, template: str, epoch: int, punctuality: Punctuality
    ) -> None:
        self.number = number
        self.record = array("q")
        self.transport: asyncio.WriteTransport | None = None
        # Bounded by the schedule: at most the messages of one run.
        self.owed: deque[int] = deque()
        self._channel = channel
        self._run = run
        self._tail = filler(size)
        self._before, self._after = (part.encode() for part in template.split("{payload}", 1))
        self._epoch = epoch
        self._punctuality = punctuality

    def pay(self) -> None:
        """Send everything that is owed, as far as the connection takes it."""
        while self.owed and self.transport is not None:
            frames = []
            # Not all of a long debt at once: the connection says after each write whether it takes more.
            for _ in range(min(len(self.owed), 64)):
                due = self.owed.popleft()
                now = time.monotonic_ns() - self._epoch
                stamp = Stamp(self._run, self.number, self._channel, len(self.record), due, (now - due) // 1000)
                frames.append(client_frame(TEXT, self._before + encode(stamp, self._tail) + self._after))
                self.record.append(now)
                self._punctuality.note(due, now)
            self.transport.write(b"".join(frames))


class Schedule:
    """Tells the publishers of one worker when something is due.

    Args:
        publishers: number of a publisher → itself; only those of this worker.
        epoch: ns of the monotonic clock at the run's start.
    """

    def __init__(self, publishers: dict[int, Publisher], epoch: int) -> None:
        self._publishers = [publishers[number] for number in sorted(publishers)]
        self._epoch = epoch
        self._alarm = alarm(self._ring)
        self._table: Timetable | None = None
        self._messages = self._cycle = self._turn = self._wake = 0

    def play(self, table: Timetable) -> None:
        """Begin a part of the run; the one before is over."""
        self._ring()
        self._table = table
        self._messages = table.messages
        self._cycle = self._turn = self._wake = 0
        self._ring()

    def stop(self, end: int) -> None:
        """Let nothing become due from a moment on, ns since the run's start."""
        if self._table is not None:
            self._table = self._table.until(end / NANO)
            self._messages = self._table.messages
            self._ring()

    def close(self) -> None:
        """End it for good."""
        self._alarm.close()

    def _due(self) -> int | None:
        """Return when the next message of this worker is due, ns since the run's start; None: no more."""
        if self._table is None or not self._publishers:
            return None
        message = self._cycle * self._table.publishers + self._publishers[self._turn].number
        return self._table.due(message) if message < self._messages else None

    def _ring(self) -> None:
        now = time.monotonic_ns() - self._epoch
        owing: dict[Publisher, None] = {}
        while (due := self._due()) is not None and due <= now:
            publisher = self._publishers[self._turn]
            publisher.owed.append(due)
            owing[publisher] = None
            self._turn += 1
            if self._turn == len(self._publishers):
                self._turn = 0
                self._cycle += 1
        for publisher in owing:
            publisher.pay()
        if due is not None:
            self._wake = max(due, self._wake + SEND_NS)
            self._alarm.set(self._epoch + self._wake)
