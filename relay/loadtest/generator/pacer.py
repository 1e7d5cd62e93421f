"""Paces the publishers of a worker: an open loop, which keeps to the schedule whatever the server does."""

from __future__ import annotations

import time
from array import array
from collections import deque
from collections.abc import Mapping
from typing import Final, Protocol

from relay.loadtest.generator.timer import new_timer
from relay.loadtest.plan.schedule import NANO, Schedule

SEND_NS: Final = 1_000_000
"""At high rates the messages that fall due within this time are sent at once, and late by up to it: a wake-up for each
message costs more than the message, and servers that can take several at a time would never get several."""


class PacedPublisher(Protocol):
    """One publisher, whatever it speaks.

    Attributes:
        number: number of the publisher in the whole run.
        sent_at: when each message was sent, ns since the run's start.
        backlog: due times of the messages that have not been sent, ns since the run's start.
    """

    number: int
    sent_at: array[int]
    backlog: deque[int]

    def send_due(self) -> None:
        """Send the backlog as far as the server takes it."""


class Pacer:
    """Gives each publisher its messages when they fall due.

    Args:
        publishers: number of a publisher → publisher; only those of this worker.
        epoch: ns of the monotonic clock at the run's start.
    """

    def __init__(self, publishers: Mapping[int, PacedPublisher], epoch: int) -> None:
        self._publishers = [publishers[number] for number in sorted(publishers)]
        self._epoch = epoch
        self._timer = new_timer(self._send_due)
        self._schedule: Schedule | None = None
        self._messages = self._cycle = self._turn = self._wake = 0

    def play(self, schedule: Schedule) -> None:
        """Begin a schedule; the one before must be over."""
        self._send_due()
        self._schedule = schedule
        self._messages = schedule.messages
        self._cycle = self._turn = self._wake = 0
        self._send_due()

    def stop(self, end: int) -> None:
        """End the schedule at a moment, in ns since the run's start."""
        if self._schedule is not None:
            self._schedule = self._schedule.until(end / NANO)
            self._messages = self._schedule.messages
            self._send_due()

    def close(self) -> None:
        """Release the timer; nothing can be played afterwards."""
        self._timer.close()

    def _due(self) -> int | None:
        """Return when this worker's next message is due, in ns since the run's start; None after the last one."""
        if self._schedule is None or not self._publishers:
            return None
        message = self._cycle * self._schedule.publishers + self._publishers[self._turn].number
        return self._schedule.due(message) if message < self._messages else None

    def _send_due(self) -> None:
        """Have all messages sent that are due now, and set the timer to the next one."""
        now = time.monotonic_ns() - self._epoch
        sending: dict[PacedPublisher, None] = {}
        while (due := self._due()) is not None and due <= now:
            publisher = self._publishers[self._turn]
            publisher.backlog.append(due)
            sending[publisher] = None
            self._turn += 1
            if self._turn == len(self._publishers):
                self._turn = 0
                self._cycle += 1
        for publisher in sending:
            publisher.send_due()
        if due is not None:
            self._wake = max(due, self._wake + SEND_NS)
            self._timer.set(self._epoch + self._wake)
