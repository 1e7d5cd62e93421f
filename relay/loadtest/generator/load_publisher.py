"""A load publisher: sends each of its messages as soon as it is due and the socket takes it."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import Counter, deque
from typing import Final

from relay.loadtest.generator.frame_codec import TEXT, client_frame
from relay.loadtest.generator.payload import MessageHeader, encode_payload, filler
from relay.loadtest.result.time_histogram import TimeHistogram

ON_TIME_NS: Final = 1_000_000_000
"""A message that reaches its socket later than this after its due time doesn't count as sent at the offered rate."""


class SendStatistics:
    """When the publishers of one worker sent their messages.

    Attributes:
        sent: second → messages that were sent in it.
        on_time: second → messages that were due in it and sent on time.
        lag: lateness of the messages when they were sent.
    """

    def __init__(self) -> None:
        self.sent: Counter[int] = Counter()
        self.on_time: Counter[int] = Counter()
        self.lag = TimeHistogram()

    def record(self, due: int, now: int) -> None:
        """Count a message; both times in ns since the run's start."""
        self.sent[now // 1_000_000_000] += 1
        self.lag.add_one((now - due) // 1000)
        if now - due < ON_TIME_NS:
            self.on_time[due // 1_000_000_000] += 1


class LoadPublisher:
    """One publisher of a channel.

    Args:
        number: number of the publisher in the whole run.
        channel: number of its channel.
        run: number of the run.
        size: payload size in bytes.
        template: text frame around a payload, with `{payload}` in it.
        epoch: ns of the monotonic clock at the run's start.
        statistics: shared by all publishers of the worker.

    Attributes:
        sent_at: when each message was sent, ns since the run's start.
        transport: transport of its connection; None without a session, or while the socket is full.
        backlog: due times of the messages that have not been sent, ns since the run's start.
    """

    def __init__(
        self, number: int, channel: int, run: int, size: int, template: str, epoch: int, statistics: SendStatistics
    ) -> None:
        self.number = number
        self.sent_at = array("q")
        self.transport: asyncio.WriteTransport | None = None
        # Bounded by the schedule: at most the messages of one run.
        self.backlog: deque[int] = deque()
        self._channel = channel
        self._run = run
        self._tail = filler(size)
        self._before, self._after = (part.encode() for part in template.split("{payload}", 1))
        self._epoch = epoch
        self._statistics = statistics

    def send_due(self) -> None:
        """Send the backlog as far as the socket takes it."""
        while self.backlog and self.transport is not None:
            frames = []
            # Not all of a long backlog at once: pause_writing tells after each write whether the socket is full.
            for _ in range(min(len(self.backlog), 64)):
                due = self.backlog.popleft()
                now = time.monotonic_ns() - self._epoch
                lag = (now - due) // 1000
                header = MessageHeader(self._run, self.number, self._channel, len(self.sent_at), due, lag)
                frames.append(client_frame(TEXT, self._before + encode_payload(header, self._tail) + self._after))
                self.sent_at.append(now)
                self._statistics.record(due, now)
            self.transport.write(b"".join(frames))
