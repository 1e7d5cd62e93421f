"""A supervised link: it connects, logs in, sends heartbeats, and reconnects when it breaks."""

from __future__ import annotations

import abc
import asyncio
import math
import random
import time
from collections.abc import Callable
from contextlib import suppress

from relay.brokers.redis.address import Address, Resolver
from relay.brokers.redis.connector import ConnectError, open_link
from relay.brokers.redis.heartbeat import Heartbeat
from relay.brokers.redis.link import Link, LinkClosed, Replies, pack
from relay.logs import Logger
from relay.metrics.counters import Counters
from relay.pauses import pause

BACKOFF_BASE_SECONDS = 0.1
BACKOFF_LIMIT_SECONDS = 2.0

REPORT_SECONDS = 60.0
"""How often an outage that goes on is logged again."""

PING = pack("PING")

log = Logger("relay.bus")


def backoff(attempt: int) -> float:
    """Return seconds to wait before connection attempt number `attempt` (from 0), with full jitter.

    With full jitter, so that the gateways of a deployment don't all connect at once when their Redis is back.
    """
    longest = min(BACKOFF_LIMIT_SECONDS, BACKOFF_BASE_SECONDS * 2 ** min(attempt, 10))
    return random.uniform(0, longest)  # noqa: S311  # spreads load, guards nothing


class SupervisedLink(abc.ABC):
    """One of the links of a shard, reopened until it is stopped.

    A heartbeat goes out every `interval`. When one stays unanswered, the link is aborted after `timeout` seconds of
    silence. Any reply will do, an error too: it proves that the link works. TCP alone would notice a silent peer
    after minutes.

    Args:
        resolve: where the Redis is; asked before each attempt to connect.
        name: purpose of the link; shown in logs and, with a prefix, in Redis' `CLIENT LIST`.
        timeout: seconds to connect, and of silence before the link counts as dead.
        interval: seconds between two heartbeats.
        counters: where connects and losses are counted.

    Attributes:
        address: where the Redis was at the last attempt to connect; None before the first one.
        link: the link that is logged in; None while there is none.
        connected: called with each fresh link before it is brought into use, and before `heartbeat` is reset for it.
        problem: why the link isn't in use, as a sentence; None when it is.
        heartbeat: the heartbeats, and until when Redis has answered.
    """

    answer_limit = math.inf
    """How long a reply to a heartbeat may take while other bytes arrive, in timeouts."""

    def __init__(self, resolve: Resolver, name: str, timeout: float, interval: float, counters: Counters) -> None:
        self._resolve = resolve
        self._name = name
        self._timeout = timeout
        self._interval = interval
        self._counters = counters
        self._task: asyncio.Task[None] | None = None
        self.address: Address | None = None
        self.link: Link | None = None
        self.problem: str | None = "not connected yet"
        self.connected: Callable[[], None] = _ignore
        self.heartbeat = Heartbeat(name, counters)
        self._report_at = 0.0

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
        """Settle what a broken link leaves unanswered. Called once after each `opened`, even an interrupted one."""

    @abc.abstractmethod
    def replies_received(self, replies: Replies) -> None:
        """Take all replies that are complete; see `LinkOwner`."""

    @abc.abstractmethod
    def link_writable(self, writable: bool) -> None:
        """Hold back or go on writing; see `LinkOwner`."""

    @abc.abstractmethod
    def send_heartbeat(self, link: Link) -> None:
        """Write a heartbeat; give its reply, which comes in turn, to `heartbeat`."""

    async def caught_up(self) -> bool:
        """Send a heartbeat, and return whether Redis answers in time: everything sent before it has arrived then."""
        link, began = self.link, time.monotonic()
        while self.heartbeat.answered_until < began:
            left = began + self._timeout - time.monotonic()
            if link is None or link.closed.done() or left <= 0:
                return False
            if self.heartbeat.sent_at is None:
                self._beat(link)
            answer = self.heartbeat.next_answer()
            await asyncio.wait((link.closed, answer), timeout=left, return_when=asyncio.FIRST_COMPLETED)
        return True

    def _beat(self, link: Link) -> None:
        self.heartbeat.sent_at = time.monotonic()
        self.send_heartbeat(link)

    async def _supervise(self) -> None:
        attempt = 0
        while True:
            try:
                self.address = await self._resolve()
                link = await open_link(self.address, self, f"relay-{self._name}", self._timeout)
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
        """Note why there is no link. Log it when the reason is new, and once a minute, not at each of many attempts."""
        problem = f"can't connect: {error}"
        now = asyncio.get_running_loop().time()
        if problem != self.problem or now >= self._report_at:
            self._report_at = now + REPORT_SECONDS
            event = "bus refused the log-in" if error.refused else "bus unreachable"
            log.warning(event, link=self._name, address=str(self.address or "unknown"), error=str(error))
        self.problem = problem

    async def _use(self, link: Link) -> bool:
        """Use a link until it is gone; return whether it had come into use."""
        self.link = link
        self._counters.bus_connects += 1
        watch = asyncio.create_task(self._watch(link), name=f"relay bus {self._name} watch")
        try:
            self.connected()
            self.heartbeat.link_opened()
            with suppress(LinkClosed):
                await self.opened(link)
            if not link.closed.done():
                self.problem = None
                server = link.server
                fields = {"role": server.role, "run_id": server.run_id, "refused": list(server.refused)}
                known = {name: value for name, value in fields.items() if value}
                log.info("bus connected", link=self._name, address=link.place, **known)
            # Not `await link.closed`: being cancelled here would cancel that future, for everything that waits for it.
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
        """Send heartbeats, and abort the link when no reply comes."""
        while not link.closed.done():
            due = time.monotonic() + self._interval
            await pause(self._interval)
            now = time.monotonic()
            if now - due > self._interval:
                continue  # this process was stalled, not Redis: read first what has arrived meanwhile
            sent_at = self.heartbeat.sent_at
            if sent_at is None:
                self._beat(link)
            elif now - max(sent_at, link.heard_at) >= self._timeout:
                link.abort(f"silent for {self._timeout:g} s")
            elif now - sent_at >= self.answer_limit * self._timeout:
                link.abort(f"no answer for {now - sent_at:.0f} s, though it is heard")


def _ignore() -> None:
    """Do nothing."""
