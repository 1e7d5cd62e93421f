"""Tells the bus which clients of this gateway are on the channels where that is to be known."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from relay.brokers.presence import REFUSED, PresenceError, PresenceStore, Tally
from relay.logs import Logger
from relay.member import Member
from relay.metrics.counters import Counters
from relay.namespaces import Namespaces
from relay.presence.channel_presence import ChannelPresence
from relay.presence.deadlines import Deadlines
from relay.presence.waiting import Waiting, to_be_forgotten

JOIN_LEAVE_SECONDS: Final = 5.0
"""For how long a user without clients may come back before others are told that it has gone: a browser reconnects
within 5 seconds."""

MAX_LINGERING: Final = 100_000
"""Users of one gateway who may come back, at most: 20,000 a second go then. Each takes 300 bytes."""

BATCH_SECONDS: Final = 0.05
"""For how long changes are collected that the bus is told together."""

REFRESHES: Final = 3
"""How often a gateway says that it lives before the bus would take it for dead."""

RETRY_SECONDS: Final = (0.1, 3.0)
"""The first pause after the bus could not be told, and the longest: it doubles each time."""

REFUSED_SECONDS: Final = 3.0
"""For how long the bus isn't told of a channel that it has refused, while it takes others."""

log = Logger("relay.presence")


class Presences:
    """This gateway's clients on all channels with presence.

    One task tells the bus: what has changed, together; and, again and again, that this gateway lives.

    Args:
        namespaces: which channels have presence.
        store: who is on the channels of the bus.
        counters: where everything is counted.
        ttl: seconds after which the bus takes a gateway for dead that says nothing.
        lost: told a channel of which the bus had lost something, once it can be read anew: a user who went meanwhile
            was perhaps not told to have gone. Must not raise.
        linger_seconds: for which a user without clients may come back.
        batch_seconds: for which changes are collected.
    """

    def __init__(
        self,
        namespaces: Namespaces,
        store: PresenceStore,
        counters: Counters,
        ttl: float,
        lost: Callable[[str], None],
        *,
        linger_seconds: float = JOIN_LEAVE_SECONDS,
        batch_seconds: float = BATCH_SECONDS,
    ) -> None:
        self._clock = asyncio.get_running_loop().time
        self._namespaces = namespaces
        self._store = store
        self._counters = counters
        self._ttl = ttl
        self._tell_lost = lost
        self._batch_seconds = batch_seconds
        self._channels: dict[str, ChannelPresence] = {}
        self._lingering: Deadlines[tuple[ChannelPresence, str]] = Deadlines(linger_seconds)
        # Channels of which the bus has to be told something, those that have to be refreshed, and those later.
        self._changed = Waiting()
        self._stale = Waiting()
        self._fresh: Deadlines[ChannelPresence] = Deadlines(ttl / REFRESHES)
        # Those that the bus has refused, and isn't told of for a while.
        self._refused: Deadlines[ChannelPresence] = Deadlines(REFUSED_SECONDS)
        # Set when the first channel has changed.
        self._woken = asyncio.Event()
        # Rounds in a row in which nothing but failures came of it.
        self._failures = 0
        self._telling = False

    def __len__(self) -> int:
        """Return on how many channels with presence this gateway has clients, or users who linger."""
        return len(self._channels)

    @property
    def members(self) -> int:
        """Number of clients, on all channels."""
        return sum(len(found.members) for found in self._channels.values())

    @property
    def lingering(self) -> int:
        """Number of users without clients who may come back, on all channels."""
        return len(self._lingering)

    @property
    def waiting(self) -> int:
        """Number of channels that wait for the bus."""
        return len(self._changed) + len(self._stale)

    def covers(self, channel: str) -> bool:
        """Return whether it is known who is on a channel."""
        return self._namespaces.present and self._namespaces.options(channel).presence

    def find(self, channel: str) -> ChannelPresence | None:
        """Return this gateway's clients on a channel; None: there are none."""
        return self._channels.get(channel)

    def joined(self, channel: str, member: Member, *, told: bool = True) -> None:
        """Be told that a client is on a channel; again when it shows something else. See `ChannelPresence.come`."""
        found = self._channels.get(channel)
        if found is None:
            events = self._namespaces.options(channel).join_leave
            found = self._channels[channel] = ChannelPresence(channel, self._clock(), events=events)
            self._fresh.add(found, found.heard_at)
        found.come(member, told=told)
        self._lingering.discard((found, member.name))
        self._look(found)

    def left(self, channel: str, client: str) -> None:
        """Be told that a client is no longer on a channel; nothing happens when it wasn't."""
        found = self._channels.get(channel)
        if found is None:
            return
        last = found.go(client)
        if last is not None and not self._lingers(found, last):
            found.end(last.name)
        self._look(found)

    async def run(self) -> None:
        """Tell the bus, until cancelled."""
        while True:
            await self._due()
            await asyncio.sleep(self._batch_seconds)
            self._woken.clear()
            self._advance(self._clock())
            self._telling = True
            try:
                await self._tell()
            finally:
                self._telling = False
            if self._failures:
                await self._pause()

    async def drain(self, seconds: float) -> None:
        """Wait until the bus knows that all clients have gone.

        Users who linger are left to the other gateways: once this one counts as dead, they tell of those who have not
        come back. So nothing is told of those that have.

        Args:
            seconds: for which it waits at most.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._changed or self._telling:  # noqa: ASYNC110  # the bus is told no more often
                    await asyncio.sleep(self._batch_seconds)

    async def _due(self) -> None:
        """Wait until there is something to do."""
        if self._changed or self._stale:
            return
        due = [some.first for some in (self._lingering, self._fresh, self._refused) if some.first is not None]
        with suppress(TimeoutError):
            async with asyncio.timeout_at(min(due, default=None)):
                await self._woken.wait()

    def _advance(self, now: float) -> None:
        """Do what is due, by time alone, at a loop time in seconds."""
        for found, name in self._lingering.expire(now):
            found.end(name)
            self._look(found)
        for found in self._refused.expire(now):
            self._look(found)
        for found in self._fresh.expire(now):
            self._stale.add(found)

    async def _tell(self) -> None:
        """Tell the bus of all that wait now; of each kind of call until one fails."""
        if forgotten := to_be_forgotten(self._changed, self._refused):
            log.warning("channels without clients forgotten", channels=len(forgotten))
            for found in forgotten:
                self._forget(found)
        told = failed = False
        for waiting, call in ((self._changed, self._update), (self._stale, self._refresh)):
            left = len(waiting)
            while left > 0 and waiting:
                group = waiting.take()
                left -= len(group)
                if not await call(group):
                    failed = True
                    break
                told = True
        self._failures = 0 if not failed else 1 if told else self._failures + 1

    async def _update(self, group: Sequence[ChannelPresence]) -> bool:
        """Tell what has changed; return whether that has succeeded."""
        changes = [found.take() for found in group]
        began = self._clock()
        tallies = await self._ask("updated", self._store.update(changes), len(group))
        succeeded = tallies is not None
        for number, found in enumerate(group):
            tally = REFUSED if tallies is None else tallies[number]
            if tally == REFUSED:
                if not found.fail():
                    self._lost(found)
                if tallies is not None:  # the bus takes those of other channels
                    self._refused.add(found, self._clock())
                    self._changed.discard(found)  # a client came or went meanwhile
            elif not found.settle(tally, dead=self._was_dead(found, began)):
                self._lost(found)
                succeeded = succeeded and not changes[number].whole  # there is a pause before the next one that is
            elif changes[number].whole:
                self._tell_lost(found.channel)
            self._look(found)
        return succeeded

    async def _refresh(self, group: Sequence[ChannelPresence]) -> bool:
        """Say that this gateway lives; return whether that has succeeded."""
        began = self._clock()
        tallies = await self._ask("refreshed", self._store.refresh([found.channel for found in group]), len(group))
        for number, found in enumerate(group):
            if self._channels.get(found.channel) is not found:
                continue  # it was over meanwhile
            if tallies is None:
                self._stale.add(found)
                continue
            self._fresh.add(found, self._clock())
            if tallies[number] != REFUSED and not found.check(tallies[number], dead=self._was_dead(found, began)):
                self._lost(found)
                self._look(found)
        return tallies is not None

    def _was_dead(self, found: ChannelPresence, began: float) -> bool:
        """Return whether the bus may have taken this gateway for dead, up to a call that was made then."""
        dead = self._clock() - found.heard_at > self._ttl
        found.heard_at = began
        return dead

    async def _ask(self, result: str, call: Awaitable[list[Tally]], expected: int) -> list[Tally] | None:
        """Return what the bus answers; None: it has failed."""
        try:
            tallies = await call
            if len(tallies) == expected:
                self._counters.presence_calls[result] += 1
                return tallies
            log.error("presence not told", answers=len(tallies), expected=expected)
        except PresenceError as error:
            log.warning("presence not told", error=str(error))
        except Exception:  # whatever it is: clients come and go all the same, and there is a next call
            log.exception("presence not told")
        self._counters.presence_calls["failed"] += 1
        return None

    def _lost(self, found: ChannelPresence) -> None:
        """Take note that the bus has lost something of a channel, or was away too long, so that it is told all."""
        self._counters.presence_repairs += 1
        log.warning("presence lost", channel=found.channel, members=len(found.members))
        if not found.whole:  # else when the bus has all again: a client that reads now misses what no client is told
            self._tell_lost(found.channel)

    def _look(self, found: ChannelPresence) -> None:
        """Let a channel wait for the bus if there is something to be told, and forget it when it is over."""
        if found.changed:
            if found not in self._refused:
                self._changed.add(found)
                self._woken.set()
            return
        self._changed.discard(found)
        if found.over:
            self._forget(found)

    def _forget(self, found: ChannelPresence) -> None:
        del self._channels[found.channel]
        self._changed.discard(found)
        self._stale.discard(found)
        self._fresh.discard(found)
        self._refused.discard(found)

    def _lingers(self, found: ChannelPresence, last: Member) -> bool:
        """Return whether a user whose last client has gone may come back before others are told, if there is a user."""
        if last.user is None or not self._namespaces.options(found.channel).join_leave:
            return False
        if len(self._lingering) >= MAX_LINGERING:
            self._counters.presence_overflows += 1
            return False
        self._lingering.add((found, last.name), self._clock())
        return True

    async def _pause(self) -> None:
        seconds = min(RETRY_SECONDS[1], RETRY_SECONDS[0] * 2 ** min(self._failures - 1, 8))
        await asyncio.sleep(seconds * random.uniform(0.5, 1.0))  # noqa: S311  # spreads load, guards nothing
