"""Which channels have positions, told by gateways in Redis, so that publishers of back ends need no settings for it.

One string, `PREFIXnamespaces`, in JSON. It is written whenever a gateway with such channels opens a link: where
gateways differ, as during a rolling change, the last one is believed. A Redis that has lost it since gets it again.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from relay.brokers.history import HistoryError
from relay.brokers.redis.address import Address
from relay.brokers.redis.link import pack
from relay.brokers.redis.pool import make_pool
from relay.namespaces import NO_NAMESPACES, ChannelOptions, Namespaces
from relay.system_error import in_words

KEY: Final = "namespaces"
"""Name of the string, behind the prefix of the bus."""


class _Options(msgspec.Struct, omit_defaults=True):
    """The part of a channel's options that a publisher needs. Later versions may write more."""

    history_size: int = 0
    history_ttl: float = ChannelOptions().history_ttl
    history_bytes: int = ChannelOptions().history_bytes
    positions: bool = False


class _Namespaces(msgspec.Struct):
    default: _Options
    named: dict[str, _Options]


class Announcement(NamedTuple):
    """The commands that tell publishers which channels have positions.

    Args:
        tell: says it.
        remind: says it where nothing is said.
    """

    tell: bytes
    remind: bytes


def pack_announcement(prefix: str, namespaces: Namespaces) -> Announcement:
    """Return the commands that tell publishers which channels have positions."""
    announced = _Namespaces(
        _reduce(namespaces.default), {name: _reduce(options) for name, options in namespaces.named.items()}
    )
    command = ("SET", f"{prefix}{KEY}", msgspec.json.encode(announced))
    return Announcement(pack(*command), pack(*command, "NX"))


def read_announcement(text: bytes) -> Namespaces:
    """Return what gateways have told.

    Raises:
        msgspec.DecodeError: it isn't written by a gateway.
    """
    try:
        announced = msgspec.json.decode(text, type=_Namespaces)
    except (UnicodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None
    named = {name: _expand(options) for name, options in announced.named.items()}
    return Namespaces(_expand(announced.default), named)


async def ask_namespaces(address: Address, prefix: str, timeout_seconds: float) -> Namespaces:
    """Ask a Redis what gateways have told; where they have told nothing, no channel has positions.

    Args:
        address: of the Redis.
        prefix: of the bus.
        timeout_seconds: to connect, and to wait for an answer.

    Raises:
        HistoryError: it doesn't answer, or refuses.
    """
    pool = make_pool(redis.asyncio, Retry(NoBackoff(), 0), address, timeout_seconds, 1)
    client: Any = redis.asyncio.Redis(connection_pool=pool)
    key = f"{prefix}{KEY}"
    try:
        text: bytes | None = await client.get(key)
        return NO_NAMESPACES if text is None else read_announcement(text)
    except RedisTimeoutError:
        raise HistoryError(f"no answer from {address} within {timeout_seconds:g} s") from None
    except RedisError as error:
        raise HistoryError(f"Redis refuses or fails: {in_words(error)}") from None
    except msgspec.DecodeError as error:
        raise HistoryError(f"{key} isn't written by a gateway: {error}") from None
    finally:
        await pool.disconnect()


def _reduce(options: ChannelOptions) -> _Options:
    return _Options(**{name: getattr(options, name) for name in _Options.__struct_fields__})


def _expand(options: _Options) -> ChannelOptions:
    return ChannelOptions(**{name: getattr(options, name) for name in _Options.__struct_fields__})
