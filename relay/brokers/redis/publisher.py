"""Publishing from a back end, straight to Redis, without a gateway.

Built on redis-py: compared with a gateway, a back end publishes seldom, and redis-py's connections, TLS and log-in are
what back ends know. Its retries are turned off: they would send a message twice. Only a message with an idempotency key
is tried again, as its copies are known as such.

A connection belongs to the process that made it. A forked child (Celery, Gunicorn) has a pool of its own and never
writes to its parent's sockets, whatever its parent's threads were doing at that moment.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoScriptError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from relay.brokers import schemes
from relay.brokers.redis.address import Address, parse_address
from relay.brokers.redis.message_packer import MessagePacker
from relay.brokers.redis.pool import make_pool
from relay.channel import check_prefix
from relay.errors import BusUnavailable, DeliveryUnknown, PublishError, PublishRefused
from relay.idempotency_key import check_idempotency_key
from relay.message import Message, make_message
from relay.namespaces import Namespaces
from relay.system_error import in_words

DEFAULT_PREFIX = "relay:"
DEFAULT_TIMEOUT_SECONDS = 3.0
MAX_CONNECTIONS = 8
"""To Redis, per publisher and process, or per event loop. While all are in use, `publish` waits for one."""

RETRY_SECONDS = (0.1, 0.5, 2.0, 5.0)
"""Pauses before a message with an idempotency key is tried again, with jitter: long enough for a Redis that restarts or
is replaced."""


class PublisherBase:
    """The common part of both publishers: options, connection pools and packing.

    Args:
        url, prefix, ca_file, timeout, namespaces: see `Publisher`.
    """

    def __init__(
        self, url: str, prefix: str, ca_file: str | None, timeout: float, namespaces: Namespaces | None
    ) -> None:
        self._address = read_address(url, ca_file)
        self._packer = MessagePacker(check_prefix(prefix), namespaces)
        self._timeout = timeout
        self._closed = False
        self._process = os.getpid()
        # Pools of the parents of this process. Only the parents may close them, or let them be collected.
        self._inherited: list[object] = []

    def _pool(self, library: Any, retry: object) -> Any:
        """Return a new pool of `redis` or `redis.asyncio`."""
        return make_pool(library, retry, self._address, self._timeout, MAX_CONNECTIONS)

    def _message(
        self, channel: str, data: str | bytes, idempotency_key: str | None, tags: Mapping[str, str] | None
    ) -> Message:
        """Return the message that is to be published with a legal key."""
        if self._closed:
            raise RuntimeError("the publisher is closed")
        if idempotency_key is not None:
            check_idempotency_key(idempotency_key)
        return make_message(channel, data, tags)


def retries(idempotency_key: str | None) -> list[float]:
    """Return the pauses before each new try of a message, in seconds: none without a key."""
    pauses = () if idempotency_key is None else RETRY_SECONDS
    return [pause * random.uniform(0.5, 1.5) for pause in pauses]  # noqa: S311  # spreads load, guards nothing


def read_address(url: str, ca_file: str | None) -> Address:
    try:
        return parse_address(url, ca_file)
    except ValueError as error:
        name = schemes.name_of(url)
        alone = name in schemes.SCHEMES and not schemes.SCHEMES[name].connects_processes
        hint = f"; {name}:// is one gateway alone, no other process can publish there" if alone else ""
        raise ValueError(f"the URL of Redis can't be used: {error}{hint}") from None


def translate(error: RedisError, sent: bool, address: Address, timeout: float) -> PublishError:
    """Return what an error of redis-py means for the message.

    Args:
        error: what redis-py raised.
        sent: whether the message may have been sent.
        address: of Redis, which redis-py doesn't name when there was no answer.
        timeout: seconds that it waited for an answer.
    """
    if isinstance(error, RedisTimeoutError) and not sent:
        return BusUnavailable(f"no answer from {address} within {timeout:g} s")
    # Errors for which redis-py gives up the connection are replies, too: to the message, once it was sent.
    if isinstance(error, ResponseError) or (sent and isinstance(error, AuthenticationError | BusyLoadingError)):
        return PublishRefused(in_words(error))
    if isinstance(error, RedisConnectionError) and not sent:
        return BusUnavailable(in_words(error))
    return DeliveryUnknown(in_words(error))


def _call(connection: Any, command: list[bytes]) -> Any:
    connection.send_packed_command(command)
    return connection.read_response()


def _answer(connection: Any, question: list[bytes]) -> Any:
    """Return the answer to a question; an error reply is one, also those for which redis-py gives up a connection."""
    try:
        return _call(connection, question)
    except (ResponseError, AuthenticationError, BusyLoadingError) as error:
        return error


class Publisher(PublisherBase):
    """Publishes to channels from blocking code: Django, Celery, a script.

    Safe to share between threads, and with forked processes. The messages of calls that follow one another, in
    whatever thread, arrive in that order; of calls at the same time any may be first. A message whose delivery is
    unknown may still arrive, and then after later ones.

    Args:
        url: of the Redis that the gateways use, as in `RELAY_BROKER_URL`: `redis://[user:password@]host[:port][/db]`,
            `rediss://...` or `unix:///path[?db=0]`.
        prefix: of the relay's channels on the bus (`RELAY_BROKER_PREFIX`).
        ca_file: PEM file of the authority to trust; None: the system's.
        timeout: seconds to connect, and to wait for Redis' answer.
        namespaces: which channels have positions; None: what the gateways have told in Redis, where it is asked for
            once a minute.

    Raises:
        ValueError: the URL can't be used, or the prefix is not one that a relay may have; the text says why, without a
            password.
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
        self._connections = self._pool(redis, Retry(NoBackoff(), 0))

    def publish(
        self,
        channel: str,
        data: str | bytes,
        *,
        idempotency_key: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> int:
        """Send a message to every client of a channel.

        Args:
            channel: its name.
            data: text is sent as a text message, bytes as a binary one.
            idempotency_key: names the message among those of its channel for five minutes: whatever is published there
                with the same key is taken for the same message, and not published again. After an error the message is
                tried again, for some seconds. 1 to 255 printable ASCII characters. None: it is a message of its own,
                and is tried once.
            tags: strings by name that go along with the message, to clients whose protocol has them, and are kept with
                it in a history. At most 4096 bytes as JSON. None: none.

        Returns:
            How many gateways have heard it (0: no client listens); of a repeated message, what was returned first.

        Raises:
            TypeError: the data is neither text nor bytes.
            RuntimeError: the publisher is closed.
            ChannelError: the name is not legal.
            IdempotencyKeyError: the key is not legal; a `ValueError`.
            AttributesError: the tags are no strings, or too long; a `ValueError`.
            BusUnavailable: Redis can't be reached; the message was not sent.
            DeliveryUnknown: the connection broke after sending; the message may have been delivered.
            PublishRefused: Redis answered with an error.
        """
        message = self._message(channel, data, idempotency_key, tags)
        for pause in retries(idempotency_key):
            try:
                return self._publish(message, idempotency_key)
            except PublishError:
                time.sleep(pause)
        return self._publish(message, idempotency_key)

    def _publish(self, message: Message, idempotency_key: str | None) -> int:
        """Publish a message with one try."""
        if self._process != os.getpid():
            self._begin_after_fork()
        pool, sent = self._connections, False
        try:
            connection = pool.get_connection()
            try:
                if (question := self._packer.question) is not None:
                    self._packer.learn(_answer(connection, question))
                packed = self._packer.pack(message, idempotency_key)
                sent = True
                try:
                    reply = _call(connection, packed.command)
                except NoScriptError:
                    _call(connection, packed.load)
                    reply = _call(connection, packed.command)
                return self._packer.receivers(reply)
            except ReadOnlyError:
                connection.disconnect()  # the address may lead to another Redis now
                raise
            finally:
                pool.release(connection)
        except RedisError as error:
            raise translate(error, sent, self._address, self._timeout) from error

    def close(self) -> None:
        """Close all connections of this process; nothing can be published any more."""
        self._closed = True
        if self._process == os.getpid():
            self._connections.disconnect()

    def _begin_after_fork(self) -> None:
        # No lock: a thread of the parent, which doesn't exist here, may have held it. Threads of a child that come here
        # at the same time make a pool each; the last one stays.
        self._inherited.append(self._connections)
        self._connections = self._pool(redis, Retry(NoBackoff(), 0))
        self._process = os.getpid()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
