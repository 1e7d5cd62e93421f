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


class ScriptCall:
    """An EVALSHA that waits to be written: only then it is known which primary will run it.

    Args:
        head: the packed command up to what isn't known yet.
        tail: the rest.
        complete: whether nothing comes between them: the script doesn't ask for the primary.
    """

    __slots__ = ("_complete", "head", "tail")

    def __init__(self, head: bytes, tail: bytes, complete: bool) -> None:
        self.head = head
        self.tail = tail
        self._complete = complete

    def __len__(self) -> int:
        """Return its bytes, nearly."""
        return len(self.head) + len(self.tail)

    def pack(self, middle: bytes) -> bytes:
        """Return the whole command; `middle` is that of `pack_primary`."""
        return b"%b%b%b" % (self.head, b"" if self._complete else middle, self.tail)


class ScriptedChannel:
    """What the calls for one channel have in common.

    Args:
        scripts: of the bus.
        prefix: of the bus.
        channel: its name.
        options: of the channel.
    """

    __slots__ = ("_keys", "_once", "_positioned", "_rest", "_without_key")

    def __init__(self, scripts: PublishScripts, prefix: str, channel: str, options: ChannelOptions) -> None:
        self._keys = keys_of(prefix, channel)
        self._positioned = options.positioned
        name = f"{prefix}{channel}".encode()
        if options.positioned:
            self._rest = _bulks(name, *_options(options), RANDOM, b"%d" % _lifetime(options))
            self._once = _evalsha(15, scripts.positioned.sha, 3, self._keys)
            self._without_key = _evalsha(14, scripts.positioned.sha, 2, self._keys) + self._rest
        else:
            self._rest = _bulks(name)
            self._once = b"*6\r\n" + _bulks(b"EVALSHA", scripts.once.sha.encode(), b"1")

    def call(self, tail: bytes, idempotency_key: str | None) -> ScriptCall:
        """Return the call that publishes an envelope.

        Args:
            tail: the envelope, as `BULK`.
            idempotency_key: see `Broker.publish`; a channel without positions needs one.
        """
        if idempotency_key is None:
            return ScriptCall(self._without_key, tail, complete=False)
        repeat = _bulks(self._keys.repeat + hash_key(idempotency_key))
        return ScriptCall(self._once + repeat + self._rest, tail, complete=not self._positioned)


def pack_primary(primary: bytes, day: int) -> bytes:
    """Return what is known only when a call is written.

    Args:
        primary: id of the primary's term; empty: unknown.
        day: number of the day, by whatever clock.
    """
    return _bulks(primary, b"%d" % day)


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
