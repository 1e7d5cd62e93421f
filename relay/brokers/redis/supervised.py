"""A link that is kept open: connect, log in, watch, and start again when it breaks."""

from __future__ import annotations

import abc
import asyncio
import math
import random
import time
from collections.abc import Callable
from contextlib import suppress

import hiredis

from relay.brokers.redis.address import Address
from relay.brokers.redis.connector import ConnectError, open_link
from relay.brokers.redis.link import Link, LinkClosed, Replies, pack
from relay.counters import Counters
from relay.logs import Logger

BACKOFF_BASE_SECONDS = 0.1
BACKOFF_LIMIT_SECONDS = 2.0

REPORT_SECONDS = 60.0
"""How often an outage that goes on is logged again."""

REPORT_REFUSAL_SECONDS = 10.0
"""How often refusals that are news are logged: Redis may change its mind all the time."""

PING = pack("PING")

log = Logger("relay.bus")


def backoff(attempt: int) -> float:
    """Return seconds to wait before connection attempt number `attempt` (from 0), with full jitter.

    Full jitter, so that the gateways of a deployment don't knock together when their Redis is back.
    """
    return random.uniform(0, min(BACKOFF_LIMIT_SECONDS, BACKOFF_BASE_SECONDS * 2 ** min(attempt, 10)))


class SupervisedLink(abc.ABC):
    """One of a broker's links, reopened until it is stopped.

    A question goes out every `interval`; a link on which one stays unanswered is aborted, after `timeout` seconds of
    silence. Any answer will do, a refusal too: it proves that the link lives. TCP alone would notice a silent peer
    after minutes.

    Args:
        address: of the Redis.
        name: what the link is for; shown in logs and, with a prefix, in Redis' `CLIENT LIST`.
        timeout: seconds to connect, and of silence before the link counts as dead.
        interval: seconds between two questions.
        counters: where connects and losses are counted.

    Attributes:
        link: what is logged in; None while there is none.
        connected: called with each fresh link before it is brought into use, and before `answered_until` is its own.
        problem: why the link isn't in use, in words; None when it is.
        asked_at: when the question was sent that is unanswered: `time.monotonic()`, in seconds; None: there is none.
        answered_until: when the last question was sent that Redis has answered as it should; at first, when the link
            was opened.
    """

    answer_limit = math.inf
    """Seconds, in timeouts, that an answer may take while other bytes come."""

    def __init__(self, address: Address, name: str, timeout: float, interval: float, counters: Counters) -> None:
        self._address = address
        self._name = name
        self._timeout = timeout
        self._interval = interval
        self._counters = counters
        self._task: asyncio.Task[None] | None = None
        self.link: Link | None = None
        self.problem: str | None = "not connected yet"
        self.connected: Callable[[], None] = _ignore
        self.asked_at: float | None = None
        self.answered_until = time.monotonic()
        self._report_at = 0.0
        self._refusal: str | None = None
        self._report_refusal_at = 0.0

    @property
    def open(self) -> bool:
        """Whether the link is logged in and ready for use."""
        return self.problem is None

    async def start(self) -> None:
        """Begin to connect."""
        self._task = asyncio.create_task(self._supervise(), name=f"relay bus {self._name}")

    async def stop(self) -> None:
        """Disconnect and end the task."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def abort(self, reason: str) -> None:
        """Drop the link; it is reopened at once."""
        if self.link is not None:
            self.link.abort(reason)

    @abc.abstractmethod
    async def opened(self, link: Link) -> None:
        """Bring a fresh link into use; `open` becomes true when this returns."""

    @abc.abstractmethod
    def lost(self, reason: str) -> None:
        """Settle what a broken link leaves behind. Called once after each `opened`, even an interrupted one."""

    @abc.abstractmethod
    def replies_received(self, replies: Replies) -> None:
        """Take all replies that are complete; see `LinkOwner`."""

    @abc.abstractmethod
    def link_writable(self, writable: bool) -> None:
        """Hold back or go on writing; see `LinkOwner`."""

    @abc.abstractmethod
    def ask(self, link: Link) -> None:
        """Write a question; call `answered` with its reply, which comes in turn."""

    def answered(self, question: str, reply: object) -> None:
        """Take the answer to a question."""
        asked_at, self.asked_at = self.asked_at, None
        if asked_at is not None:
            self.answered_until = asked_at
        if not isinstance(reply, hiredis.ReplyError):
            self._refusal = None
            return
        # Who has no right to ask was told so by the log-in, and goes on; everything else is a Redis in trouble.
        in_trouble = not str(reply).startswith("NOPERM")
        self._counters.bus_errors += in_trouble
        now = time.monotonic()
        if str(reply) != self._refusal and now >= self._report_refusal_at:
            self._refusal = str(reply)
            self._report_refusal_at = now + REPORT_REFUSAL_SECONDS
            say = log.warning if in_trouble else log.info
            say("bus question refused", link=self._name, question=question, error=str(reply))

    async def _supervise(self) -> None:
        attempt = 0
        while True:
            try:
                link = await open_link(self._address, self, f"relay-{self._name}", self._timeout)
                if await self._use(link):
                    attempt = 0
            except ConnectError as error:
                self._refused(error)
            except Exception:
                # A fault of ours must not leave the gateway deaf: start the link again.
                self.problem = "link failed"
                log.exception("bus link failed", link=self._name)
            await asyncio.sleep(backoff(attempt))
            attempt += 1

    def _refused(self, error: ConnectError) -> None:
        """Note why there is no link; report it when it is news, and once a minute, not at each of many attempts."""
        problem = f"can't connect: {error}"
        now = asyncio.get_running_loop().time()
        if problem != self.problem or now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            event = "bus refused the log-in" if error.refused else "bus unreachable"
            log.warning(event, link=self._name, address=str(self._address), error=str(error))
        self.problem = problem

    async def _use(self, link: Link) -> bool:
        """Use a link until it is gone; return whether it had come into use."""
        self.link = link
        self._counters.bus_connects += 1
        self.connected()
        self.asked_at = None
        self.answered_until = time.monotonic()
        watch = asyncio.create_task(self._watch(link), name=f"relay bus {self._name} watch")
        try:
            with suppress(LinkClosed):
                await self.opened(link)
            if not link.closed.done():
                self.problem = None
                server = link.server
                told = {"role": server.role, "run_id": server.run_id, "refused": list(server.refused)}
                known = {name: value for name, value in told.items() if value}
                log.info("bus connected", link=self._name, address=link.place, **known)
            # Not `await link.closed`: being cancelled here would cancel that future, for all who look at it.
            await asyncio.wait((link.closed,))
        finally:
            came_into_use = self.open
            link.abort("stopped")
            self.link = None
            self.problem = f"link lost: {link.closed.result()}"
            self._counters.bus_losses += 1
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch
            self.lost(self.problem)
        log.warning("bus lost", link=self._name, address=link.place, reason=link.closed.result())
        return came_into_use

    async def _watch(self, link: Link) -> None:
        """Ask again and again, and abort the link when no answer comes."""
        while not link.closed.done():
            due = time.monotonic() + self._interval
            await asyncio.sleep(self._interval)
            now = time.monotonic()
            if now - due > self._interval:
                continue  # this process was stalled, not Redis: read first what has arrived meanwhile
            if self.asked_at is None:
                self.asked_at = now
                self.ask(link)
            elif now - max(self.asked_at, link.heard_at) >= self._timeout:
                link.abort(f"silent for {self._timeout:g} s")
            elif now - self.asked_at >= self.answer_limit * self._timeout:
                link.abort(f"no answer for {now - self.asked_at:.0f} s, though it is heard")


def _ignore() -> None:
    """Do nothing."""
