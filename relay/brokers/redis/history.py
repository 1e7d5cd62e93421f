"""The histories of channels in Redis; see `relay.brokers.redis.scripts` for their keys.

redis-py, as for blocked users: histories are read seldom, and many at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from redis.exceptions import RedisError

from relay.brokers.envelope import EnvelopeError, open_envelope
from relay.brokers.history import MAX_PAGE, HistoryError, HistoryPage, HistoryStore
from relay.brokers.redis.address import Address
from relay.brokers.redis.entries import Wanted
from relay.brokers.redis.script_calls import read_arguments
from relay.brokers.redis.script_runner import Command, ScriptRunner
from relay.brokers.redis.scripts import READ, keys_of
from relay.logs import Logger
from relay.message import PositionedMessage, attributes_of
from relay.metrics.counters import Counters
from relay.namespaces import Namespaces
from relay.position import Position

CONNECTIONS: Final = 2
"""To Redis: readings wait for one another rather than that many of them open many connections."""

BATCH: Final = 64
"""Readings in one pipeline."""

BATCH_BYTES: Final = 16 * 1024 * 1024
"""That the answers of one pipeline take at most, by the `history_bytes` of each: they are in memory all at once. One
reading alone may bring more."""

log = Logger("relay.bus")


class _Reading(NamedTuple):
    channel: str
    wanted: Wanted
    command: Command
    size: int  # bytes that it may bring
    page: asyncio.Future[HistoryPage]


class RedisHistoryStore(HistoryStore):
    """The histories of a deployment.

    Args:
        address: of the Redis.
        prefix: of the bus.
        timeout: seconds to connect, and to wait for an answer.
        namespaces: how much is kept.
        counters: where unreadable messages are counted.
        servers: see `ScriptRunner`.
    """

    def __init__(
        self,
        address: Address,
        prefix: str,
        timeout: float,
        namespaces: Namespaces,
        counters: Counters,
        servers: Callable[[], set[str]] = set,
    ) -> None:
        self._prefix = prefix
        self._options = namespaces.options
        self._counters = counters
        self._runner = ScriptRunner(address, timeout, CONNECTIONS, servers)
        self._waiting: deque[_Reading] = deque()
        self._closed = False

    async def read(
        self, channel: str, *, since: Position | None = None, limit: int | None = None, newest_first: bool = False
    ) -> HistoryPage:
        """See `HistoryStore.read`."""
        options = self._options(channel)
        if not options.positioned:
            raise HistoryError("the channel has no positions")
        if self._closed:
            raise HistoryError("the gateway ends")
        keys = keys_of(self._prefix, channel)
        count = MAX_PAGE if limit is None else min(limit, MAX_PAGE)
        command: Command = (
            *("EVALSHA", READ.sha, 2, keys.position, keys.history),
            *read_arguments(options),
            "" if since is None else str(since.offset),
            count,
            int(newest_first),
        )
        size = options.history_bytes if options.history_size and count > 0 else 0
        wanted = Wanted(
            options.history_size, options.history_bytes, None if since is None else since.offset, count, newest_first
        )
        reading = _Reading(channel, wanted, command, size, asyncio.get_running_loop().create_future())
        self._waiting.append(reading)
        if len(self._runner.tasks) < CONNECTIONS:
            self._begin()
        return await reading.page

    async def remove(self, channel: str) -> None:
        """See `HistoryStore.remove`."""
        try:
            await self._runner.redis.delete(keys_of(self._prefix, channel).history)
        except RedisError as error:
            raise await self._error(error) from error

    async def close(self) -> None:
        """See `HistoryStore.close`."""
        self._closed = True
        await self._runner.close()
        self._fail(list(self._waiting), HistoryError("the gateway ends"))
        self._waiting.clear()

    def _begin(self) -> None:
        self._runner.begin(self._read_all(), "relay histories")

    async def _read_all(self) -> None:
        """Read what waits, one batch after the other."""
        while self._waiting and not self._closed:
            batch = self._next_batch()
            if self._waiting and len(self._runner.tasks) < CONNECTIONS:
                self._begin()
            try:
                await self._try_batch(batch)
            except Exception as error:
                # A fault of ours must not leave the others waiting.
                log.exception("histories not read", readings=len(batch))
                self._fail(batch, HistoryError(f"not read: {error}"))
            except BaseException:
                self._fail(batch, HistoryError("the gateway ends"))
                raise

    def _next_batch(self) -> list[_Reading]:
        batch = [self._waiting.popleft()]
        size = batch[0].size
        while self._waiting and len(batch) < BATCH and (size := size + self._waiting[0].size) <= BATCH_BYTES:
            batch.append(self._waiting.popleft())
        return batch

    async def _try_batch(self, batch: list[_Reading]) -> None:
        try:
            await self._read_batch(batch)
        except RedisError as error:
            self._fail(batch, await self._error(error))

    async def _read_batch(self, batch: list[_Reading]) -> None:
        replies = (await self._runner.run([READ], [reading.command for reading in batch])).replies
        for reading, reply in zip(batch, replies, strict=True):
            if isinstance(reply, RedisError):
                self._fail([reading], await self._error(reply))
            elif not reading.page.done():
                reading.page.set_result(self._page(reading, *reply))
                if reply[2]:
                    await asyncio.sleep(0)  # a page takes its time: others have their turn before the next one

    def _page(
        self, reading: _Reading, top: int, epoch: bytes, entries: list[Any], began: int, former: bytes, bytes_: int
    ) -> HistoryPage:
        """Return what the script has read. A message that can't be read is left out: a hole, which is noticed."""
        channel, name, messages = reading.channel, epoch.decode(), []
        for offset, envelope in reading.wanted.pick(entries, top, bytes_):
            try:
                message = open_envelope(channel, envelope)
            except EnvelopeError as error:
                self._counters.bus_errors += 1
                log.warning("kept message refused", channel=channel, offset=offset, error=str(error))
                continue
            position = Position(name, offset)
            carried = attributes_of(message)
            messages.append(
                PositionedMessage(
                    channel, message.payload, message.kind, message.origin, position=position, attributes=carried
                )
            )
        former_epoch = "" if former == b"-" else former.decode()
        return HistoryPage(Position(name, top), messages, Position(former_epoch, began))

    async def _error(self, error: RedisError) -> HistoryError:
        return HistoryError(await self._runner.explain(error))

    def _fail(self, batch: list[_Reading], error: HistoryError) -> None:
        for reading in batch:
            if not reading.page.done():
                reading.page.set_exception(error)
                reading.page.exception()  # retrieved here, because the reader may have left
