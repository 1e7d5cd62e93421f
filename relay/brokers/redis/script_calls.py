"""Calls of the publishing scripts, packed for Redis."""

from __future__ import annotations

import secrets
from typing import Final

from relay.brokers.history import POSITION_SECONDS
from relay.brokers.redis.scripts import Keys, PublishScripts, hash_key, keys_of
from relay.namespaces import ChannelOptions

BULK: Final = b"$%d\r\n%b\r\n"
"""To be completed with an argument's size, and the argument."""

RANDOM: Final = secrets.token_urlsafe(6).encode()
"""What the epochs begin with that this process begins; see `relay.brokers.redis.scripts`."""


ScriptCall = tuple[bytes, ...]
"""An EVALSHA that waits to be written: only then it is known which primary will run it. That goes between its parts; a
script that doesn't ask has one part."""


class ScriptedChannel:
    """What the calls for one channel have in common.

    Args:
        scripts: of the bus.
        prefix: of the bus.
        channel: its name.
        options: of the channel.

    Attributes:
        head: first part of the calls without a key, for channels with positions.
    """

    __slots__ = ("_keys", "_once", "_positioned", "_rest", "head")

    def __init__(self, scripts: PublishScripts, prefix: str, channel: str, options: ChannelOptions) -> None:
        self._keys = keys_of(prefix, channel)
        self._positioned = options.positioned
        name = f"{prefix}{channel}".encode()
        if options.positioned:
            self._rest = _bulks(name, *_options(options), RANDOM, b"%d" % _lifetime(options))
            self._once = _evalsha(15, scripts.positioned.sha, 3, self._keys)
            self.head = _evalsha(14, scripts.positioned.sha, 2, self._keys) + self._rest
        else:
            self._rest = _bulks(name)
            self._once = b"*6\r\n" + _bulks(b"EVALSHA", scripts.once.sha.encode(), b"1")
            self.head = b""

    def call(self, tail: bytes, idempotency_key: str | None) -> ScriptCall:
        """Return the call that publishes an envelope.

        Args:
            tail: the envelope, as `BULK`.
            idempotency_key: see `Broker.publish`; a channel without positions needs one.
        """
        if idempotency_key is None:
            return self.head, tail
        head = self._once + _bulks(self._keys.repeat + hash_key(idempotency_key)) + self._rest
        return (head, tail) if self._positioned else (head + tail,)


def pack_primary(primary: bytes, day: int) -> bytes:
    """Return what is known only when a call is written, and goes between its parts.

    Args:
        primary: id of the primary's term; empty: unknown.
        day: number of the day, by whatever clock.
    """
    return _bulks(primary, b"%d" % day)


def size_of(call: ScriptCall) -> int:
    """Return how many bytes will be written for a call, or a few more."""
    return sum(map(len, call)) + (len(call) > 1) * _MIDDLE_BYTES


def read_arguments(options: ChannelOptions, day: int) -> tuple[bytes, ...]:
    """Return the arguments of the reading script that depend on the channel."""
    return (b"%d" % options.history_size, RANDOM, b"%d" % _lifetime(options), b"%d" % day)


def _options(options: ChannelOptions) -> tuple[bytes, bytes, bytes]:
    milliseconds = max(1, round(options.history_ttl * 1000))
    return b"%d" % options.history_size, b"%d" % milliseconds, b"%d" % options.history_bytes


def _lifetime(options: ChannelOptions) -> int:
    """Return seconds for which a position lives; a day more than it has to, as it is renewed once a day."""
    return max(POSITION_SECONDS, int(options.history_ttl) + 1) + 24 * 3600


def _evalsha(arguments: int, sha: str, keys: int, names: Keys) -> bytes:
    head = _bulks(b"EVALSHA", sha.encode(), b"%d" % keys, names.position, names.history)
    return b"*%d\r\n%b" % (arguments, head)


def _bulks(*arguments: bytes) -> bytes:
    return b"".join([BULK % (len(argument), argument) for argument in arguments])


_MIDDLE_BYTES: Final = len(pack_primary(b"x" * 40, 99_999))
