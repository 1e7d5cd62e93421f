"""Calls of the publishing scripts, packed for Redis: one call publishes several messages."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from relay.brokers.history import POSITION_SECONDS
from relay.brokers.redis.scripts import DAY_SECONDS, PublishScripts, hash_key, keys_of
from relay.channel import INTERNAL
from relay.namespaces import ChannelOptions

BULK: Final = b"$%d\r\n%b\r\n"
"""To be completed with an argument's size, and the argument."""

RANDOM: Final = secrets.token_urlsafe(6).encode()
"""What the epochs begin with that this process begins; see `relay.brokers.redis.scripts`."""

PAUSES: Final = 8
"""The times to live of a channel are set once in this part of what its messages have: PEXPIRE with each message would
cost a tenth of its publish."""

MESSAGE_WORK: Final = 1
CHANNEL_WORK: Final = 2
"""What a message, and what each channel of a call costs Redis, in about 3 µs."""

MOST_WORK: Final = 384
"""Of one call, which has at most 128 channels then, so that the number of one is a byte. Redis does nothing else
meanwhile: it takes about 1 ms. Smaller calls would each pay more for the call, and for channels in common."""

MOST_BYTES: Final = 256 * 1024
"""Of the envelopes of one call, which Redis copies several times; one message alone may be larger."""


ScriptCall = tuple["ScriptedChannel", bytes, bytes | None]
"""A message that waits to be written: its channel; its envelope, as `BULK`; the key of Redis that belongs to its
idempotency key, as `BULK`. Only when it is written it is known which primary will run the script, and what else goes
into the same call."""


class ScriptedChannel:
    """What the calls for one channel have in common.

    Args:
        scripts: of the bus.
        prefix: of the bus.
        channel: its name.
        options: of the channel.

    Attributes:
        sha: of the script, as `BULK`.
        keys, name: see the script, as `BULK`s; without positions there are no keys. By its keys a channel is told from
            others: there may be several of these objects for one, as the broker remembers only so many.
        kind: the script's arguments that depend on the options, as `BULK`s; empty without positions.
        size: bytes of a call for one message, without the envelope and an idempotency key, or a few more.
    """

    __slots__ = ("_repeat", "keys", "kind", "name", "sha", "size")

    def __init__(self, scripts: PublishScripts, prefix: str, channel: str, options: ChannelOptions) -> None:
        names = keys_of(prefix, channel)
        self._repeat = names.repeat
        self.name = _bulks(f"{prefix}{channel}".encode())
        script = scripts.positioned if options.positioned else scripts.once
        self.sha = _bulks(script.sha.encode())
        self.keys = _bulks(names.position, names.history) if options.positioned else b""
        self.kind = _bulks(*_options(options)) if options.positioned else b""
        self.size = len(pack_call([self.call(b"", None)], _LONGEST_MIDDLE))

    def call(self, envelope: bytes, idempotency_key: str | None) -> ScriptCall:
        """Return the call that publishes a message.

        Args:
            envelope: of the message, as `BULK`.
            idempotency_key: see `Broker.publish`; a channel without positions needs one.
        """
        return self, envelope, None if idempotency_key is None else _bulks(self._repeat + hash_key(idempotency_key))


def pack_primary(primary: bytes) -> bytes:
    """Return what is known only when a call is written, for `pack_call`.

    Args:
        primary: id of the primary's term; empty: unknown.
    """
    return _bulks(primary)


def pack_call(calls: Sequence[ScriptCall], middle: bytes) -> bytes:
    """Return the command that publishes messages, one after the other.

    Args:
        calls: at least one; only one where it has an idempotency key, or a channel without positions.
        middle: see `pack_primary`.
    """
    (first, envelope, repeat), *_ = calls
    if not first.keys:
        return b"".join((b"*6\r\n", EVALSHA, first.sha, b"$1\r\n1\r\n", repeat or b"", first.name, envelope))
    channels = {call[0].keys: call[0] for call in calls}
    places = {keys: number for number, keys in enumerate(channels, 1)}
    order = bytes([places[call[0].keys] for call in calls])
    kinds: dict[bytes, int] = {}
    kind_of = bytes([kinds.setdefault(channel.kind, len(kinds) + 1) for channel in channels.values()])
    keys = 2 * len(channels) + (repeat is not None)
    arguments = 3 + keys + 4 + 5 * len(kinds) + len(channels) + len(calls)
    return b"".join(
        [
            b"*%d\r\n" % arguments,
            EVALSHA,
            first.sha,
            _bulks(b"%d" % keys),
            *channels,
            repeat or b"",
            _bulks(RANDOM, order, kind_of),
            middle,
            *kinds,
            *[channel.name for channel in channels.values()],
            *[call[1] for call in calls],
        ]
    )


def pack_question(scripts: PublishScripts, prefix: str) -> bytes:
    """Return a call for two channels and without any message: an array answers it where one call may have several."""
    keys = [key for name in ("one", "other") for key in keys_of(prefix, INTERNAL + name)[:2]]
    return b"".join([b"*8\r\n", EVALSHA, _bulks(scripts.positioned.sha.encode(), b"4", *keys, b"")])


def gather(commands: Iterable[bytes | ScriptCall], merges: bool) -> Iterator[bytes | list[ScriptCall]]:
    """Yield packed commands, and the calls between them put together, all in their order.

    Args:
        commands: that wait to be written.
        merges: whether one call may have several channels.
    """
    batch: list[ScriptCall] = []
    named: set[bytes] = set()
    size = work = 0
    for command in commands:
        if isinstance(command, bytes):
            if batch:
                yield batch
                batch = []
            yield command
            continue
        channel, envelope, repeat = command
        size += len(envelope)
        other = channel.keys not in named
        work += MESSAGE_WORK + CHANNEL_WORK * other
        if batch and (
            repeat is not None
            or batch[0][2] is not None
            or work > MOST_WORK
            or size > MOST_BYTES
            or (other and not merges)
        ):
            yield batch
            batch = []
        if not batch:
            size, work = len(envelope), MESSAGE_WORK + CHANNEL_WORK
            named = {channel.keys}
        elif other:
            named.add(channel.keys)
        batch.append(command)
    if batch:
        yield batch


def size_of(call: ScriptCall) -> int:
    """Return how many bytes will be written for a call alone, or a few more; with others they are fewer."""
    channel, envelope, repeat = call
    return channel.size + len(envelope) + (0 if repeat is None else len(repeat))


def read_arguments(options: ChannelOptions) -> tuple[bytes, ...]:
    """Return the arguments of the reading script that depend on the channel."""
    return (b"%d" % options.history_size, RANDOM, b"%d" % _lifetime(options))


def _options(options: ChannelOptions) -> tuple[bytes, ...]:
    """Return size, time to live in ms, bytes, the position's lifetime in s, and the pause between renewals in ms.

    Messages live a pause longer than they have to, as they are renewed once in a pause.
    """
    milliseconds = max(1, round(options.history_ttl * 1000))
    pause = min(milliseconds // PAUSES, DAY_SECONDS * 1000) if options.history_size else DAY_SECONDS * 1000
    numbers = (options.history_size, milliseconds + pause, options.history_bytes, _lifetime(options), pause)
    return tuple(b"%d" % number for number in numbers)


def _lifetime(options: ChannelOptions) -> int:
    """Return seconds for which a position lives; a day more than it has to, as it is renewed once a day at least."""
    return max(POSITION_SECONDS, int(options.history_ttl) + 1) + DAY_SECONDS


def _bulks(*arguments: bytes) -> bytes:
    return b"".join([BULK % (len(argument), argument) for argument in arguments])


EVALSHA: Final = _bulks(b"EVALSHA")

_LONGEST_MIDDLE: Final = pack_primary(b"x" * 40)
