"""What travels: one message of one channel."""

from __future__ import annotations

import enum
from collections.abc import Callable

import msgspec

from relay.channel import check_channel

ORIGIN_BYTES = 16
"""Size of a connection's id: 8 random bytes of its gateway, then a 64-bit number."""

NO_ORIGIN = bytes(ORIGIN_BYTES)
"""Origin of a message that no WebSocket client sent (a back end, `redis-cli`)."""


class Kind(enum.IntEnum):
    """Kind of a payload; the two that a WebSocket knows (RFC 6455, section 5.6)."""

    TEXT = 0
    BINARY = 1


class Position(msgspec.Struct, frozen=True, gc=False):
    """The place of a message in the history of its channel.

    Args:
        epoch: names one history; a history that was lost and begun anew has another one, so that positions of the two
            are never compared.
        offset: number of the message in it, without holes.
    """

    epoch: str
    offset: int


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message, as the hub fans it out.

    A struct of msgspec: made on the hot path, it costs a quarter of a NamedTuple and an eighth of a frozen
    dataclass, and the garbage collector needn't look at it.

    Args:
        channel: name of the channel.
        payload: the sender's bytes, untouched; valid UTF-8 when the kind is TEXT.
        kind: text or binary.
        origin: id of the connection that sent it (16 bytes); `NO_ORIGIN` for none.
    """

    channel: str
    payload: bytes
    kind: Kind = Kind.TEXT
    origin: bytes = NO_ORIGIN


Encoder = Callable[[Message], bytes]
"""Returns the bytes that carry a message to a client; for a WebSocket whole frames. One function object for each wire
format: the hub encodes a message once for all clients that share it."""


def make_message(channel: str, data: str | bytes) -> Message:
    """Return the message of a program: text from `str`, binary from bytes.

    Raises:
        TypeError: the data is neither.
        ChannelError: the name is not legal.
    """
    if isinstance(data, str):
        return Message(check_channel(channel), data.encode(), Kind.TEXT)
    if isinstance(data, bytes | bytearray | memoryview):
        return Message(check_channel(channel), bytes(data), Kind.BINARY)
    raise TypeError(f"data must be str or bytes, not {type(data).__name__}")
