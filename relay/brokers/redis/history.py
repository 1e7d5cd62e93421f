"""The histories of channels in Redis; see `relay.brokers.redis.scripts` for their keys.

redis-py, as for blocked users: histories are read seldom, and many at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any, Final, NamedTuple

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from relay.brokers.envelope import EnvelopeError, open_envelope
from relay.brokers.history import MAX_PAGE, HistoryError, HistoryPage, HistoryStore
from relay.brokers.redis.address import Address
from relay.brokers.redis.pool import make_pool
from relay.brokers.redis.script_calls import read_arguments
from relay.brokers.redis.scripting import DAY_SECONDS
from relay.brokers.redis.scripts import READ, keys_of
from relay.logs import Logger
from relay.message import PositionedMessage
from relay.metrics.counters import Counters
from relay.namespaces import Namespaces
from relay.position import Position
from relay.system_error import in_words

CONNECTIONS: Final = 2
"""To Redis: readings wait for one another rather than that many of them open many connections."""

BATCH: Final = 64
"""Readings in one pipeline: its answers are in memory all at once, each of up to `history_bytes`."""

log = Logger("relay.bus")


class _Reading(NamedTuple):
    channel: str
    command: tuple[str | bytes | int, ...]
    page: asyncio.Future[HistoryPage]


class RedisHistoryStore(HistoryStore):
    """The histories of a deployment.

    Args:
        address: of the Redis.
        prefix: of the bus.
        timeout: seconds to connect, and to wait for an answer.
        namespaces: how much is kept.
        counters: where unreadable messages are counted.
    """

    def __init__(
        self, address: Address, prefix: str, timeout: float, namespaces: Namespaces, counters: Counters
    ) -> None:
        self._address = address
        self._prefix = prefix
        self._timeout = timeout
        self._options = namespaces.options
        self._counters = counters
        self._pool = make_pool(redis.asyncio, Retry(NoBackoff(), 0), address, timeout, CONNECTIONS)
        self._redis: Any = redis.asyncio.Redis(connection_pool=self._pool)
        self._waiting: deque[_Reading] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
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
        command: tuple[str | bytes | int, ...] = (
            *("EVALSHA", READ.sha, 2, keys.position, keys.history),
            *read_arguments(options, int(time.time() // DAY_SECONDS)),
            "" if since is None else str(since.offset),
            count,
            int(newest_first),
        )
        reading = _Reading(channel, command, asyncio.get_running_loop().create_future())
        self._waiting.append(reading)
        if len(self._tasks) < CONNECTIONS:
            self._begin()
        return await reading.page

    async def remove(self, channel: str) -> None:
        """See `HistoryStore.remove`."""
        try:
            await self._redis.delete(keys_of(self._prefix, channel).history)
        except RedisError as error:
            raise await self._error(error) from error

    async def close(self) -> None:
        """See `HistoryStore.close`."""
        self._closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        # redis-py takes some cancellations for its own, and goes on; without connections it ends.
        await self._pool.disconnect()
        if tasks:
            await asyncio.wait(tasks)
        self._fail(list(self._waiting), HistoryError("the gateway ends"))
        self._waiting.clear()

    def _begin(self) -> None:
        task = asyncio.create_task(self._read_all(), name="relay histories")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_all(self) -> None:
        """Read what waits, one batch after the other."""
        while self._waiting and not self._closed:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if self._waiting and len(self._tasks) < CONNECTIONS:
                self._begin()
            try:
                await self._read_batch(batch)
            except RedisError as error:
                self._fail(batch, await self._error(error))
            except BaseException:
                self._fail(batch, HistoryError("the gateway ends"))
                raise

    async def _read_batch(self, batch: list[_Reading]) -> None:
        async with self._redis.pipeline(transaction=False) as pipeline:
            # Each time: it costs no more than to find out that the script has been forgotten.
            pipeline.execute_command("SCRIPT LOAD", READ.source)
            for reading in batch:
                pipeline.execute_command(*reading.command)
            _, *replies = await pipeline.execute(raise_on_error=False)
        for reading, reply in zip(batch, replies, strict=True):
            if isinstance(reply, RedisError):
                self._fail([reading], await self._error(reply))
            elif not reading.page.done():
                reading.page.set_result(self._page(reading.channel, *reply))

    def _page(self, channel: str, offset: int, epoch: bytes, entries: list[Any]) -> HistoryPage:
        """Return what the script has read. A message that can't be read is left out: a hole, which is noticed."""
        name = epoch.decode()
        messages = []
        for entry, fields in entries:
            try:
                message = open_envelope(channel, fields[1])
            except EnvelopeError as error:
                self._counters.bus_errors += 1
                log.warning("kept message refused", channel=channel, entry=entry.decode(), error=str(error))
                continue
            position = Position(name, int(entry.partition(b"-")[0]))
            messages.append(
                PositionedMessage(channel, message.payload, message.kind, message.origin, position=position)
            )
        return HistoryPage(Position(name, offset), messages)

    async def _error(self, error: RedisError) -> HistoryError:
        """Return what an error means. The address is looked up again with the next connection."""
        await self._pool.disconnect(inuse_connections=False)
        if isinstance(error, RedisTimeoutError):
            return HistoryError(f"no answer from {self._address} within {self._timeout:g} s")
        return HistoryError(f"Redis refuses or fails: {in_words(error)}")

    def _fail(self, batch: list[_Reading], error: HistoryError) -> None:
        for reading in batch:
            if not reading.page.done():
                reading.page.set_exception(error)
                reading.page.exception()  # retrieved here, because the reader may have left
