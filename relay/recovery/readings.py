"""Reads the histories of channels: so many at a time, one of a channel at a time, again after a while if it fails."""

from __future__ import annotations

import asyncio
import random
from typing import Final, Protocol

from relay.brokers.history import HistoryError, HistoryPage, HistoryStore
from relay.logs import Logger
from relay.metrics.counters import Counters
from relay.position import Position
from relay.recovery.reading import Reading

MAX_READINGS: Final = 128
"""At a time. Those that begin in one tick are one pipeline; and what is read is in memory until it is delivered."""

RETRY_SECONDS: Final = (0.1, 3.0)
"""The first pause after a reading has failed, and the longest: it doubles each time."""

log = Logger("relay.recovery")


class ReadingOwner(Protocol):
    """A channel that wants its history to be read.

    Attributes:
        name: of the channel.
        failures: how many readings have failed in a row, or were of no use.
    """

    name: str
    failures: int

    @property
    def wants(self) -> bool:
        """Whether it wants another reading."""

    def begin(self) -> int | None:
        """Be told that its history is read now; return `Reading.since`."""

    def end(self, reading: Reading | None) -> bool:
        """Take what was read, None: it has failed; return whether it was of use. Else the next one waits a while."""


class Readings:
    """The readings of all channels of a gateway.

    Args:
        history: the histories.
        counters: where readings are counted.
        longest_pause: seconds, at most, from a reading that has failed to the next one.
    """

    def __init__(self, history: HistoryStore, counters: Counters, longest_pause: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._history = history
        self._counters = counters
        self._longest_pause = longest_pause
        # Those that wait for their turn, the first one first; those that are read; those that wait after a failure.
        self._queue: dict[ReadingOwner, None] = {}
        self._running: dict[ReadingOwner, asyncio.Task[None]] = {}
        self._paused: dict[ReadingOwner, asyncio.TimerHandle] = {}
        self._scheduled = False

    def __len__(self) -> int:
        """Return how many channels wait, or are read."""
        return len(self._queue) + len(self._running) + len(self._paused)

    def request(self, channel: ReadingOwner) -> None:
        """Read a channel's history when it has its turn; nothing happens when that is coming already."""
        if channel in self._running or channel in self._paused:
            return
        self._queue[channel] = None
        self._schedule()

    def forget(self, channel: ReadingOwner) -> None:
        """Read a channel no more. A reading that has begun goes on; its end is told."""
        self._queue.pop(channel, None)
        pause = self._paused.pop(channel, None)
        if pause is not None:
            pause.cancel()

    async def stop(self) -> None:
        """End all readings."""
        self._queue.clear()
        for channel in list(self._paused):
            self.forget(channel)
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _schedule(self) -> None:
        # Later in this tick, so that more is known of what is wanted, and with all others of it.
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._start)

    def _start(self) -> None:
        self._scheduled = False
        while self._queue and len(self._running) < MAX_READINGS:
            channel = next(iter(self._queue))
            del self._queue[channel]
            self._running[channel] = asyncio.create_task(self._read(channel), name="relay history")

    async def _read(self, channel: ReadingOwner) -> None:
        since = channel.begin()
        reading = None
        try:
            reading = Reading(await self._fetch(channel.name, since), since)
        except HistoryError as error:
            log.warning("history not read", channel=channel.name, error=str(error))
        except Exception:  # whatever it is, the others have their turns, and this one its next
            log.exception("history not read", channel=channel.name)
        self._counters.history_reads["failed" if reading is None else "read"] += 1
        useful = reading is not None
        try:
            useful = channel.end(reading)
        except Exception:  # a fault in what follows for a client; the channel gives up in time
            log.exception("history not delivered", channel=channel.name)
        # Not before: what it asks for while it is told waits for its turn, or for the pause.
        del self._running[channel]
        if self._queue:
            self._schedule()
        channel.failures = 0 if useful else channel.failures + 1
        if not channel.wants:
            return
        if useful:
            self.request(channel)
        else:
            first, longest = RETRY_SECONDS
            seconds = min(longest, self._longest_pause, first * 2 ** min(channel.failures - 1, 8))
            spread = random.uniform(0.5, 1.0)  # noqa: S311  # spreads load, guards nothing
            self._paused[channel] = self._loop.call_later(seconds * spread, self._resume, channel)

    def _resume(self, channel: ReadingOwner) -> None:
        del self._paused[channel]
        self.request(channel)

    async def _fetch(self, channel: str, since: int | None) -> HistoryPage:
        """Return a page with its messages in the order of their offsets; see `Reading.since`."""
        if since is None:
            return await self._history.read(channel, limit=0)
        if since:
            return await self._history.read(channel, since=Position("", since))
        page = await self._history.read(channel, newest_first=True)
        return HistoryPage(page.top, page.messages[::-1], page.began)
