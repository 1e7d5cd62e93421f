"""A message of a channel, as it goes from the bus through the hub to clients."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping

import msgspec

from relay.attributes import encode_tags
from relay.channel import check_channel
from relay.position import Position

ORIGIN_BYTES = 16
"""Size of a client's id: 8 random bytes of its gateway, then a 64-bit number."""

NO_ORIGIN = bytes(ORIGIN_BYTES)
"""Origin of a message that was not published by a client, but by a back end or `redis-cli`."""


class Kind(enum.IntEnum):
    """Kind of a payload: a WebSocket has these two (RFC 6455, section 5.6)."""

    TEXT = 0
    BINARY = 1


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message.

    A msgspec struct, because messages are made on the hot path: it takes a quarter of the time of a NamedTuple and an
    eighth of that of a frozen dataclass, and the garbage collector doesn't track it.

    Args:
        channel: name of the channel.
        payload: the publisher's bytes, unchanged; valid UTF-8 when the kind is TEXT.
        kind: text or binary.
        origin: id of the client that published it (16 bytes); `NO_ORIGIN`: not a client.
    """

    channel: str
    payload: bytes
    kind: Kind = Kind.TEXT
    origin: bytes = NO_ORIGIN


class Attributes(msgspec.Struct, frozen=True, gc=False):
    """What a message carries beside its payload; `relay.attributes` writes and reads it.

    Args:
        publisher: what receivers are told of the client that published it: a JSON object on one line; empty: nothing.
        tags: what a back end has put on it: a JSON object of strings on one line; empty: nothing.
    """

    publisher: bytes = b""
    tags: bytes = b""

    @property
    def size(self) -> int:
        """Their bytes."""
        return len(self.publisher) + len(self.tags)


class AttributedMessage(Message, frozen=True, gc=False, kw_only=True):
    """A message with attributes.

    A class of its own, like the next: a field of all messages would cost each of them 2 to 8 of the 50 ns that it takes
    to make one.

    Args:
        attributes: what it carries.
    """

    attributes: Attributes


class PositionedMessage(Message, frozen=True, gc=False, kw_only=True):
    """A message of a channel that counts its messages.

    Args:
        position: its place in the channel's history.
        attributes: what it carries; None: nothing.
    """

    position: Position
    attributes: Attributes | None = None


_CARRIERS = AttributedMessage, PositionedMessage  # a tuple: a union would be made anew by each call


def attributes_of(message: Message) -> Attributes | None:
    """Return what a message carries beside its payload; None: nothing."""
    return message.attributes if isinstance(message, _CARRIERS) else None


def content_bytes(message: Message) -> int:
    """Return the bytes of a message's payload and attributes: what histories and other buffers count."""
    attributes = attributes_of(message)
    return len(message.payload) if attributes is None else len(message.payload) + attributes.size


Encoder = Callable[[Message], bytes]
"""Returns the bytes of a message on the wire; for a WebSocket, whole frames. There is one function object per wire
format: the hub encodes a message once for all clients of a format. Empty for a message that the format can't carry: it
is left out."""


def make_message(channel: str, data: str | bytes, tags: Mapping[str, str] | None = None) -> Message:
    """Return a message that a program publishes: text from `str`, binary from bytes.

    Args:
        channel: name of the channel.
        data: `str`, `bytes`, `bytearray` or `memoryview`.
        tags: see `encode_tags`.

    Raises:
        TypeError: the data is of another type.
        ChannelError: the name is not legal.
        AttributesError: the tags are not.
    """
    if isinstance(data, str):
        kind, payload = Kind.TEXT, data.encode()
    elif isinstance(data, bytes | bytearray | memoryview):
        kind, payload = Kind.BINARY, bytes(data)
    else:
        raise TypeError(f"data must be str or bytes, not {type(data).__name__}")
    return tagged_message(check_channel(channel), payload, kind, encode_tags(tags))


def tagged_message(channel: str, payload: bytes, kind: Kind, tags: bytes) -> Message:
    """Return a message of a back end.

    Args:
        channel, payload, kind: see `Message`.
        tags: see `Attributes`.
    """
    if tags:
        return AttributedMessage(channel, payload, kind, attributes=Attributes(tags=tags))
    return Message(channel, payload, kind)
