"""Presence in Redis; see `relay.brokers.redis.presence_scripts` for its keys.

redis-py, as for histories: what has changed is told in batches.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, TypeVar

from redis.exceptions import RedisError

from relay.brokers.presence import (
    NOTHING,
    REFUSED,
    FoundMembers,
    PresenceChange,
    PresenceError,
    PresenceStats,
    PresenceStore,
    Tally,
)
from relay.brokers.redis.address import Address
from relay.brokers.redis.presence_calls import NO_SURPLUS, PresenceCalls, Surplus
from relay.brokers.redis.presence_reader import PresenceReader
from relay.brokers.redis.presence_scripts import BURY, REFRESH, UPDATE
from relay.brokers.redis.script_runner import Command, ScriptRunner
from relay.brokers.redis.scripts import Script
from relay.logs import Logger
from relay.member import Member
from relay.metrics.counters import Counters
from relay.namespaces import Namespaces
from relay.system_error import in_words

READERS: Final = 2
"""Readings at once; each has a connection. There is one more connection, for changes, which keeps them in order."""

BATCH: Final = 64
"""Calls in one pipeline."""

BATCH_WORDS: Final = 4096
"""Words of all calls in one pipeline, about: those of a call that changes as much as one can have 520."""

FAULT_OF_CHANNEL: Final = "WRONGTYPE"
"""Begins an error that says nothing about other channels: another program has written to the keys of this one."""

log = Logger("relay.bus")

_T = TypeVar("_T")
_K = TypeVar("_K")


class RedisPresenceStore(PresenceStore):
    """The presence of a deployment.

    This gateway has another id with each Redis that takes over: what the new one knows of the old id is an earlier
    state perhaps, of which the gateway can't tell how early. It dies by itself.

    Args:
        address: of the Redis.
        prefix: of the bus.
        timeout: seconds to connect, and to wait for an answer.
        ttl: seconds after which a gateway that isn't heard counts as dead.
        namespaces: which channels have presence, and events.
        counters: where unreadable members are counted.
        servers: see `ScriptRunner`.
    """

    def __init__(
        self,
        address: Address,
        prefix: str,
        timeout: float,
        ttl: float,
        namespaces: Namespaces,
        counters: Counters,
        servers: Callable[[], set[str]] = set,
    ) -> None:
        self._options = namespaces.options
        self._runner = ScriptRunner(address, timeout, READERS + 1, servers)
        self._reader = PresenceReader(self._runner, prefix, counters)
        self._reading = asyncio.Semaphore(READERS)
        self._writing = asyncio.Lock()
        self._new_calls: Callable[[], PresenceCalls] = lambda: PresenceCalls(_new_id(), prefix, ttl, namespaces)
        self._calls = self._new_calls()
        self._server: str | None = None
        self._closed = False

    @property
    def gateway(self) -> str:
        """The id that this gateway has now."""
        return self._calls.gateway

    async def update(self, changes: Sequence[PresenceChange]) -> list[Tally]:
        """See `PresenceStore.update`."""
        return await self._finish(self._writing, lambda: self._update(changes))

    async def refresh(self, channels: Sequence[str]) -> list[Tally]:
        """See `PresenceStore.refresh`."""
        return await self._finish(self._writing, lambda: self._refresh(channels))

    async def members(self, channel: str) -> list[Member]:
        """See `PresenceStore.members`."""
        found = FoundMembers()
        await self._read(channel, found.add)
        return found.all()

    async def stats(self, channel: str) -> PresenceStats:
        """See `PresenceStore.stats`."""
        clients: set[str] = set()
        users: set[str | None] = set()

        def take(member: Member) -> None:
            clients.add(member.client)
            users.add(member.user)

        await self._read(channel, take)
        return PresenceStats(len(clients), len(users))

    async def close(self) -> None:
        """See `PresenceStore.close`."""
        self._closed = True
        await self._runner.close()

    async def _update(self, changes: Sequence[PresenceChange]) -> list[Tally]:
        calls = self._calls
        surplus = await self._surplus(calls, [change for change in changes if change.whole])
        numbered = (
            (number, call)
            for number, change in enumerate(changes)
            for call in calls.update(change, surplus.get(change.channel, NO_SURPLUS))
        )
        return self._count(calls, [change.channel for change in changes], await self._run(UPDATE, numbered))

    async def _refresh(self, channels: Sequence[str]) -> list[Tally]:
        calls = self._calls
        replies = await self._run(REFRESH, ((number, calls.refresh(name)) for number, name in enumerate(channels)))
        dead: list[tuple[str, str]] = []
        tallies: list[tuple[int, Any]] = []
        for number, reply in replies:
            if not isinstance(reply, RedisError):
                *reply, ids = reply
                dead += [(channels[number], gateway.decode(errors="replace")) for gateway in ids]
            tallies.append((number, reply))
        await self._bury(dead)
        return self._count(calls, channels, tallies)

    async def _surplus(self, calls: PresenceCalls, changes: Sequence[PresenceChange]) -> dict[str, Surplus]:
        """Return what the bus has of this gateway on channels, and should not have after changes with `whole`.

        Only that is removed: a user who stays is never gone, not for a moment, in which another gateway could tell that
        its last client has gone.
        """
        keys = {change.channel: calls.keys(change.channel) for change in changes}
        found = await self._reader.fields([key for own in keys.values() for key in (own.members, own.own_users)])
        surplus: dict[str, Surplus] = {}
        for change in changes:
            own = keys[change.channel]
            members = {member.client.encode() for member in change.members}
            users = {member.name.encode() for member in change.users.values()}
            surplus[change.channel] = Surplus(found[own.members] - members, found[own.own_users] - users)
        return surplus

    async def _bury(self, gateways: list[tuple[str, str]]) -> None:
        """Remove what gateways have on channels, part by part."""
        while gateways:
            replies = await self._run(BURY, ((pair, self._calls.bury(*pair)) for pair in gateways))
            for (channel, _), reply in replies:
                if isinstance(reply, RedisError):
                    _log_refused(channel, reply)
            gateways = [pair for pair, reply in replies if isinstance(reply, int) and reply]

    def _count(self, calls: PresenceCalls, channels: Sequence[str], replies: list[tuple[int, Any]]) -> list[Tally]:
        """Return what the bus has.

        Args:
            calls: that were used.
            channels: their names.
            replies: each with the number of its channel; the last one of a channel counts.

        Raises:
            RedisError: nothing but errors came, and not for what is wrong with the channels themselves.
        """
        errors = [(number, reply) for number, reply in replies if isinstance(reply, RedisError)]
        general = [error for _, error in errors if not str(error).startswith(FAULT_OF_CHANNEL)]
        if general and len(errors) == len(replies):
            raise general[0]
        if calls is not self._calls:
            return [NOTHING] * len(channels)
        tallies = {number: Tally(*reply) for number, reply in replies if not isinstance(reply, RedisError)}
        for number, error in errors:
            tallies[number] = REFUSED
            _log_refused(channels[number], error)
        return [tallies[number] for number in range(len(channels))]

    async def _run(self, script: Script, calls: Iterable[tuple[_K, Command]]) -> list[tuple[_K, Any]]:
        """Run calls of a script, one pipeline after the other, and return the reply of each."""
        found: list[tuple[_K, Any]] = []
        for batch in _batches(calls):
            answers = await self._runner.run((script,), [call for _, call in batch])
            found += zip([key for key, _ in batch], answers.replies, strict=True)
            self._reached(answers.server)
        return found

    def _reached(self, server: str | None) -> None:
        """Take another id when it is another Redis than the last time."""
        if server is None or server == self._server:
            return
        if self._server is not None:
            log.info("another Redis keeps presence", server=server)
            self._calls = self._new_calls()
        self._server = server

    async def _read(self, channel: str, take: Callable[[Member], None]) -> None:
        if not self._options(channel).presence:
            raise PresenceError("the channel has no presence")
        await self._finish(self._reading, lambda: self._reader.read(channel, take))

    async def _finish(self, turn: AbstractAsyncContextManager[None], work: Callable[[], Coroutine[Any, Any, _T]]) -> _T:
        """Do something when it is its turn; once it has begun, it goes on when the caller is cancelled.

        So does a change that waits for its turn; a reading, for which no caller waits any more, doesn't.

        Raises:
            PresenceError: it didn't work.
        """

        begun = turn is self._writing

        async def in_turn() -> _T:
            nonlocal begun
            async with turn:
                begun = True
                try:
                    return await work()
                except RedisError as error:
                    raise PresenceError(await self._runner.explain(error)) from error

        if self._closed:
            raise PresenceError("the gateway ends")
        task = self._runner.begin(in_turn(), "relay presence")
        try:
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            if not begun:
                task.cancel()
            raise
        if task.cancelled():
            raise PresenceError("the gateway ends")
        return task.result()


def _new_id() -> str:
    return secrets.token_urlsafe(9)


def _batches(calls: Iterable[tuple[_K, Command]]) -> Iterator[list[tuple[_K, Command]]]:
    """Go through calls, as many together as one pipeline may have."""
    batch: list[tuple[_K, Command]] = []
    words = 0
    for key, call in calls:
        batch.append((key, call))
        words += len(call)
        if len(batch) == BATCH or words > BATCH_WORDS:
            yield batch
            batch, words = [], 0
    if batch:
        yield batch


def _log_refused(channel: str, error: RedisError) -> None:
    log.warning("presence refused", channel=channel, error=in_words(error))
