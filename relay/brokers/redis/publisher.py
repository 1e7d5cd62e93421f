"""Publishing from a back end, straight to Redis, without a gateway.

Built on redis-py: a back end publishes seldom, compared with a gateway, and its connection pool, TLS and
log-in are what back ends know. Its retries are turned off: they would send a message twice.
"""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, BusyLoadingError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from relay.brokers.envelope import seal
from relay.channel import check_channel, check_prefix
from relay.errors import BusUnavailable, DeliveryUnknown, PublishError, PublishRefused
from relay.message import Kind, Message
from relay.system_error import in_words

DEFAULT_PREFIX = "relay:"
DEFAULT_TIMEOUT_SECONDS = 3.0
MAX_CONNECTIONS = 8
"""To Redis, per publisher; who publishes while all are in use waits for one."""


def _options(ca_file: str | None, timeout: float) -> dict[str, Any]:
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "protocol": 2,
        "max_connections": MAX_CONNECTIONS,
        "timeout": timeout,  # to wait for one of them
    }
    if ca_file is not None:
        options["ssl_ca_certs"] = ca_file
    return options


def _command(prefix: str, channel: str, data: str | bytes) -> tuple[str, bytes]:
    if isinstance(data, str):
        message = Message(channel, data.encode(), Kind.TEXT)
    elif isinstance(data, bytes | bytearray | memoryview):
        message = Message(channel, bytes(data), Kind.BINARY)
    else:
        raise TypeError(f"data must be str or bytes, not {type(data).__name__}")
    return prefix + check_channel(channel), seal(message)


def _translate(error: RedisError, connected: bool) -> PublishError:
    """Say what an error of redis-py means for the message.

    Args:
        error: what redis-py raised.
        connected: whether the message may have been sent.
    """
    # Those for which redis-py gives up the connection are answers, too: to the message, once it was sent.
    if isinstance(error, ResponseError) or (connected and isinstance(error, AuthenticationError | BusyLoadingError)):
        return PublishRefused(in_words(error))
    if isinstance(error, RedisConnectionError | RedisTimeoutError) and not connected:
        return BusUnavailable(in_words(error))
    return DeliveryUnknown(in_words(error))


class Publisher:
    """Publishes to channels from blocking code: Django, Celery, a script. Safe to share between threads.

    Args:
        url: `redis://`, `rediss://` or `unix://`, as redis-py takes it.
        prefix: of the relay's channels on the bus (`RELAY_BROKER_PREFIX`).
        ca_file: PEM file of the authority to trust; None: the system's.
        timeout: seconds to connect, and to wait for Redis' answer.

    Raises:
        ValueError: the URL is not one of these, or the prefix is not one that a relay may have.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        ca_file: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        self._prefix = check_prefix(prefix)
        self._closed = False
        # Any: redis-py types its pools in part only.
        self._pool: Any = redis.BlockingConnectionPool.from_url(
            url, retry=Retry(NoBackoff(), 0), **_options(ca_file, timeout)
        )

    def publish(self, channel: str, data: str | bytes) -> int:
        """Send a message to every client of a channel.

        Args:
            channel: its name.
            data: text is sent as a text message, bytes as a binary one.

        Returns:
            How many gateways have heard it (0: no client listens).

        Raises:
            TypeError: the data is neither text nor bytes.
            RuntimeError: the publisher is closed.
            ChannelError: the name is not legal.
            BusUnavailable: Redis can't be reached; the message was not sent.
            DeliveryUnknown: the connection broke after sending; the message may have been delivered.
            PublishRefused: Redis answered with an error.
        """
        if self._closed:
            raise RuntimeError("the publisher is closed")
        name, payload = _command(self._prefix, channel, data)
        connected = False
        try:
            connection = self._pool.get_connection()
            connected = True
            try:
                connection.send_command("PUBLISH", name, payload)
                return int(connection.read_response())
            finally:
                self._pool.release(connection)
        except RedisError as error:
            raise _translate(error, connected) from error

    def close(self) -> None:
        """Close all connections; nothing can be published any more."""
        self._closed = True
        self._pool.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncPublisher:
    """Publishes to channels from asyncio code: FastAPI, aiohttp, a worker.

    Args, guarantees and errors are those of `Publisher`.
    """

    def __init__(
        self,
        url: str,
        *,
        prefix: str = DEFAULT_PREFIX,
        ca_file: str | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> None:
        self._prefix = check_prefix(prefix)
        self._closed = False
        self._pool: Any = redis.asyncio.BlockingConnectionPool.from_url(
            url, retry=AsyncRetry(NoBackoff(), 0), **_options(ca_file, timeout)
        )

    async def publish(self, channel: str, data: str | bytes) -> int:
        """Send a message to every client of a channel; see `Publisher.publish`."""
        if self._closed:
            raise RuntimeError("the publisher is closed")
        name, payload = _command(self._prefix, channel, data)
        connected = False
        try:
            connection = await self._pool.get_connection()
            connected = True
            try:
                await connection.send_command("PUBLISH", name, payload)
                return int(await connection.read_response())
            except BaseException:
                # Also when cancelled: a late answer must not be taken for that of the next command.
                await connection.disconnect(nowait=True)
                raise
            finally:
                await self._pool.release(connection)
        except RedisError as error:
            raise _translate(error, connected) from error

    async def aclose(self) -> None:
        """Close all connections; nothing can be published any more."""
        self._closed = True
        await self._pool.disconnect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
