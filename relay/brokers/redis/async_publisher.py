"""Publishing from asyncio code, straight to Redis, without a gateway.

A connection of asyncio belongs to its event loop. Back ends have many: one for each call of `asyncio.run` or
`async_to_sync`, one for each thread. So each loop has connections of its own, and takes them with it when it ends.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Callable, Mapping
from types import TracebackType
from typing import Any, Self

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, NoScriptError, RedisError, ResponseError

from relay.brokers.redis.publisher import (
    DEFAULT_PREFIX,
    DEFAULT_TIMEOUT_SECONDS,
    PublisherBase,
    retries,
    translate,
)
from relay.errors import PublishError
from relay.message import Message
from relay.namespaces import Namespaces


async def _call(connection: Any, command: list[bytes]) -> Any:
    await connection.send_packed_command(command)
    return await connection.read_response()


async def _answer(connection: Any, question: list[bytes]) -> Any:
    """Return the answer to a question; an error reply is one, also those for which redis-py gives up a connection."""
    try:
        return await _call(connection, question)
    except (ResponseError, AuthenticationError, BusyLoadingError) as error:
        return error


class LoopConnections:
    """The connections of one event loop, closed by `close` or with the loop.

    A loop that is ended properly first ends its asynchronous generators (`loop.shutdown_asyncgens`): so a generator can
    still close the connections in order.

    Args:
        pool: of redis-py.
        ended: called when the connections are being closed.
    """

    def __init__(self, pool: Any, ended: Callable[[], None]) -> None:
        self.pool = pool
        self._ended = ended
        self._life: AsyncGenerator[None, None] | None = None

    async def begin(self) -> None:
        """Close the connections when the running loop ends."""
        if self._life is None:
            self._life = self._live()
            await anext(self._life)

    async def close(self) -> None:
        """Close all connections."""
        if self._life is not None:
            await self._life.aclose()

    async def _live(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._ended()
            await self.pool.disconnect()


class AsyncPublisher(PublisherBase):
    """Publishes to channels from asyncio code: FastAPI, aiohttp, a worker.

    Safe to share between event loops, one after the other or in threads, and with forked processes: each has
    connections of its own, which are closed when the loop ends (as `asyncio.run` ends it) or by `aclose`. Args,
    guarantees and errors are those of `Publisher`. A message whose `publish` is cancelled may have been delivered.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        ca_file: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        namespaces: Namespaces | None = None,
    ) -> None:
        super().__init__(url, prefix, ca_file, timeout, namespaces)
        self._lock = threading.Lock()
        self._lifetimes: dict[asyncio.AbstractEventLoop, LoopConnections] = {}

    async def publish(
        self,
        channel: str,
        data: str | bytes,
        *,
        idempotency_key: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> int:
        """Send a message to every client of a channel; see `Publisher.publish`."""
        message = self._message(channel, data, idempotency_key, tags)
        for pause in retries(idempotency_key):
            try:
                return await self._publish(message, idempotency_key)
            except PublishError:
                await asyncio.sleep(pause)
        return await self._publish(message, idempotency_key)

    async def _publish(self, message: Message, idempotency_key: str | None) -> int:
        """Publish a message with one try."""
        loop = asyncio.get_running_loop()
        lifetime = self._lifetimes.get(loop) if self._process == os.getpid() else None
        if lifetime is None:
            lifetime = await self._begin(loop)
        pool, sent = lifetime.pool, False
        try:
            connection = await pool.get_connection()
            try:
                if (question := self._packer.question) is not None:
                    self._packer.learn(await _answer(connection, question))
                packed = self._packer.pack(message, idempotency_key)
                sent = True
                try:
                    reply = await _call(connection, packed.command)
                except NoScriptError:
                    await _call(connection, packed.load)
                    reply = await _call(connection, packed.command)
                return self._packer.receivers(reply)
            except BaseException:
                # Also when cancelled: a late reply must not be taken for that of the next command.
                await connection.disconnect(nowait=True)
                raise
            finally:
                await pool.release(connection)
        except RedisError as error:
            raise translate(error, sent, self._address, self._timeout) from error

    async def aclose(self) -> None:
        """Close all connections of this process; nothing can be published any more."""
        self._closed = True
        if self._process != os.getpid():
            return
        with self._lock:
            lifetimes = list(self._lifetimes.items())
        here = asyncio.get_running_loop()
        for loop, lifetime in lifetimes:
            if loop is here:
                await lifetime.close()
            elif loop.is_running():
                asyncio.run_coroutine_threadsafe(lifetime.close(), loop)
            # else: with its loop's end

    async def _begin(self, loop: asyncio.AbstractEventLoop) -> LoopConnections:
        """Return connections for an event loop."""
        if self._process != os.getpid():
            self._inherited.append(self._lifetimes)
            self._lifetimes, self._lock, self._process = {}, threading.Lock(), os.getpid()
        lifetime = LoopConnections(self._pool(redis.asyncio, Retry(NoBackoff(), 0)), lambda: self._forget(loop))
        with self._lock:
            # Loops that were closed without ending their generators: such a program leaves all its sockets open.
            for other in [other for other in self._lifetimes if other.is_closed()]:
                del self._lifetimes[other]
            lifetime = self._lifetimes.setdefault(loop, lifetime)
        await lifetime.begin()
        return lifetime

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        with self._lock:
            self._lifetimes.pop(loop, None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
