"""The heartbeat of a link: commands that show that Redis still answers."""

from __future__ import annotations

import asyncio
import time

import hiredis

from relay.logs import Logger
from relay.metrics.counters import Counters

REPORT_SECONDS = 10.0
"""How often new refusals are logged: Redis may change its mind all the time."""

log = Logger("relay.bus")


class Heartbeat:
    """The heartbeats of one link, one at a time. Any reply will do, an error too.

    Args:
        link: name of the link, for the log.
        counters: where refusals are counted.

    Attributes:
        sent_at: when the unanswered heartbeat was sent: `time.monotonic()`, in seconds; None: there is none.
        answered_until: when the last answered heartbeat was sent; at first, when the link was opened.
    """

    def __init__(self, link: str, counters: Counters) -> None:
        self._link = link
        self._counters = counters
        self._refusal: str | None = None
        self._report_at = 0.0
        self._next: asyncio.Future[None] | None = None
        self.sent_at: float | None = None
        self.answered_until = time.monotonic()

    def link_opened(self) -> None:
        """Start again: no heartbeat was sent on the fresh link, and its log-in was answered just now."""
        self.sent_at = None
        self.answered_until = time.monotonic()

    def next_answer(self) -> asyncio.Future[None]:
        """Return a future that is done at the next reply; it is shared."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
        return self._next

    def answered(self, question: str, reply: object) -> None:
        """Take the reply to a heartbeat.

        Args:
            question: the command, for the log.
            reply: what Redis replied; an error counts as well.
        """
        sent_at, self.sent_at = self.sent_at, None
        if sent_at is not None:
            self.answered_until = sent_at
        if self._next is not None:
            self._next.set_result(None)
            self._next = None
        if not isinstance(reply, hiredis.ReplyError):
            self._refusal = None
            return
        # NOPERM: a missing right, which the log-in has reported already. All other errors mean a Redis in trouble.
        in_trouble = not str(reply).startswith("NOPERM")
        self._counters.bus_errors += in_trouble
        now = time.monotonic()
        if str(reply) != self._refusal and now >= self._report_at:
            self._refusal = str(reply)
            self._report_at = now + REPORT_SECONDS
            say = log.warning if in_trouble else log.info
            say("bus question refused", link=self._link, question=question, error=str(reply))
