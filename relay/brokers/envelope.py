"""The envelope: how a message is written on the bus.

    offset  size  meaning
         0     2  FF 72: no UTF-8 text begins with FF, so no plain text is taken for an envelope
         2     1  high four bits: version, 1
                  low four bits: 1 the payload is binary (else text); 2 and 4 reserved, 0; 8 extensions follow
         3    16  origin: id of the connection that sent the message; zeros for none
        19     -  extensions, if their bit is set
         -     -  the payload, untouched

Extensions are their total size in bytes (2, big-endian), then for each: its number (1), its size (1) and its value.

    number  value
         1  position: offset in the channel's history (8, big-endian, at most 2^53 - 1), then the epoch (1 to 64
            letters, digits, - and _ of ASCII)
         2  publisher: what receivers are told of the client that sent the message, JSON (`relay.attributes`)
         3  tags: what a back end has put on the message, JSON

A value of more than 255 bytes is written in pieces: extensions of the same number, in the order of the pieces, all but
the last 255 bytes long. Readers put the pieces of a publisher and of tags together; those that don't know the number
pass over all of them. Of several positions the first counts.

A publisher or tags that aren't what `relay.attributes` writes are left out, and the message is delivered without them:
protocols put them into what their clients get, and another writer to Redis must not break those. Nothing is counted, as
a receiver may ignore them anyway.

Anything that doesn't begin with FF 72 is a plain payload: what `redis-cli PUBLISH relay:lobby hello` sends.
It is text when it is valid UTF-8, and binary otherwise.

During a rolling upgrade several versions of the relay read each other's messages:

* A reader passes over extensions that it doesn't know. So what a receiver may ignore becomes an extension, and what
  changes the meaning of the payload needs a reserved bit or a new version: readers refuse these, and count it.
* A relay from before there were extensions refuses every envelope with some. So a message is written without them
  unless its channel needs one, and such a channel is used once no older gateway runs.
"""

from __future__ import annotations

import struct
from functools import lru_cache

from relay.attributes import read_publisher, read_tags
from relay.errors import RelayError
from relay.message import (
    NO_ORIGIN,
    ORIGIN_BYTES,
    AttributedMessage,
    Attributes,
    Kind,
    Message,
    PositionedMessage,
    attributes_of,
)
from relay.position import MAX_EPOCH_LETTERS, MAX_OFFSET, Position, is_epoch

VERSION = 1
HEADER_BYTES = 3 + ORIGIN_BYTES

_MAGIC = b"\xff\x72"
_EXTENDED = 0x08
_POSITION = 1
_PUBLISHER = 2
_TAGS = 3
_PIECE_BYTES = 255
_OFFSET_BYTES = 8
# By kind; a tuple, because hashing a member of an enum is a call into Python.
_PREFIX = tuple(_MAGIC + bytes([VERSION << 4 | kind]) for kind in Kind)
_KIND = {prefix: kind for kind, prefix in zip(Kind, _PREFIX, strict=True)}
_LONE_POSITION = struct.Struct(">HBBQ")
_LONE_POSITION_BYTES = HEADER_BYTES + _LONE_POSITION.size
_EXTENDED_PREFIX = tuple(_MAGIC + bytes([VERSION << 4 | _EXTENDED | kind]) for kind in Kind)
_EXTENDED_KIND = {prefix: kind for kind, prefix in zip(Kind, _EXTENDED_PREFIX, strict=True)}
# Room is left for the longest position: Redis puts it among extensions that are there.
_ATTRIBUTES = 256
"""Attributes that are remembered, each of 14 KB at most: those of one client's messages are the same, and to write or
read them takes 2 µs."""

_MAX_EXTENSIONS_BYTES = 0xFFFF - (2 + _OFFSET_BYTES + MAX_EPOCH_LETTERS)


class EnvelopeError(RelayError, ValueError):
    """Bytes that begin like an envelope, and that this version can't read."""


def seal(message: Message) -> bytes:
    """Return the bytes that carry a message on the bus, without its position.

    Raises:
        ValueError: its attributes are longer than what `relay.attributes` writes, and than extensions may be.
    """
    if type(message) is not Message and (attributes := attributes_of(message)) is not None:
        return _seal_with(_attributes(attributes), message)
    return _PREFIX[message.kind] + message.origin + message.payload


def seal_with_position(message: Message, position: Position) -> bytes:
    """Return the bytes that carry a message and its position in the channel's history.

    A function of its own: a look for a position would cost each message without one.

    Raises:
        ValueError: it is no position that a client could say.
    """
    if not is_epoch(position.epoch) or not 0 <= position.offset <= MAX_OFFSET:
        raise ValueError(f"a position that can't be written: {position}")
    extensions = _extension(_POSITION, struct.pack(">Q", position.offset) + position.epoch.encode())
    if (attributes := attributes_of(message)) is not None:
        extensions += _attributes(attributes)
    return _seal_with(extensions, message)


def _seal_with(extensions: bytes, message: Message) -> bytes:
    """Return an envelope with extensions; with none it is that of `seal`."""
    if not extensions:
        return _PREFIX[message.kind] + message.origin + message.payload
    if len(extensions) > _MAX_EXTENSIONS_BYTES:
        raise ValueError(f"extensions of {len(extensions)} bytes, at most {_MAX_EXTENSIONS_BYTES}")
    size = len(extensions).to_bytes(2, "big")
    return _EXTENDED_PREFIX[message.kind] + message.origin + size + extensions + message.payload


@lru_cache(_ATTRIBUTES)
def _attributes(attributes: Attributes) -> bytes:
    return _extension(_PUBLISHER, attributes.publisher) + _extension(_TAGS, attributes.tags)


def _extension(number: int, value: bytes) -> bytes:
    """Return an extension in as many pieces as it needs; none for an empty value."""
    pieces = [value[start : start + _PIECE_BYTES] for start in range(0, len(value), _PIECE_BYTES)]
    return b"".join([bytes((number, len(piece))) + piece for piece in pieces])


def open_envelope(channel: str, data: bytes) -> Message:
    """Return the message that was received on a channel; a `PositionedMessage` when it has a position.

    Raises:
        EnvelopeError: the header is broken or from another version, or the payload of a text is no UTF-8.
    """
    kind = _KIND.get(data[:3])
    if kind is not None:
        if len(data) < HEADER_BYTES:
            raise EnvelopeError(f"envelope of {len(data)} bytes, expected at least {HEADER_BYTES}")
        payload = data[HEADER_BYTES:]
    elif data.startswith(_MAGIC):
        return _open_extended(channel, data)
    else:
        try:
            data.decode()
        except UnicodeDecodeError:
            return Message(channel, data, Kind.BINARY, NO_ORIGIN)
        return Message(channel, data, Kind.TEXT, NO_ORIGIN)
    if not kind and not payload.isascii():
        _check_text(payload)
    return Message(channel, payload, kind, data[3:HEADER_BYTES])


def _check_text(payload: bytes) -> None:
    """Refuse a text that is none.

    Gateways let in valid text only. But other writers to Redis may claim anything, and every browser of the channel
    would end its connection (RFC 6455, section 8.1). With the look for ASCII before, it takes 30 ns for 128 bytes of
    that, and 200 for others.
    """
    try:
        payload.decode()
    except UnicodeDecodeError as error:
        raise EnvelopeError(f"text that is not valid UTF-8 at byte {error.start}") from None


def _open_extended(channel: str, data: bytes) -> Message:
    """Return the message of an envelope with extensions, each of which must be whole."""
    kind = _EXTENDED_KIND.get(data[:3])
    if kind is None:
        raise EnvelopeError(f"envelope of unknown version or kind {data[2:3].hex()!r}")
    # What the relay writes: a position alone. It is nearly every message of a channel that has them.
    if len(data) >= _LONE_POSITION_BYTES:
        total, number, size, offset = _LONE_POSITION.unpack_from(data, HEADER_BYTES)
        end = HEADER_BYTES + 2 + total
        if number == _POSITION and total == size + 2 and end <= len(data) and offset <= MAX_OFFSET and size > 8:
            payload = data[end:]
            if not kind and not payload.isascii():
                _check_text(payload)
            position = Position(_read_epoch(data[_LONE_POSITION_BYTES:end]), offset)
            return PositionedMessage(channel, payload, kind, data[3:HEADER_BYTES], position=position)
        if number == _PUBLISHER and total == size + 2 and end <= len(data):
            # Alone, too: the messages of clients of several channels, in channels without positions.
            payload = data[end:]
            if not kind and not payload.isascii():
                _check_text(payload)
            attributes = _read_attributes(data[HEADER_BYTES + 4 : end], b"")
            if attributes is not None:
                return AttributedMessage(channel, payload, kind, data[3:HEADER_BYTES], attributes=attributes)
    return _open_any(channel, data, kind)


def _open_any(channel: str, data: bytes, kind: Kind) -> Message:
    """Return the message of an envelope with any extensions."""
    start = HEADER_BYTES + 2
    end = start + int.from_bytes(data[HEADER_BYTES:start], "big")
    if len(data) < max(start, end):
        raise EnvelopeError(f"envelope of {len(data)} bytes, expected at least {max(start, end)}")
    position: Position | None = None
    publisher, tags = bytearray(), bytearray()
    while start < end:
        # The last byte of the extensions may be a number without a size.
        value = start + 2
        start = value + (data[start + 1] if value <= end else 0)
        if start > end:
            raise EnvelopeError("an extension goes beyond the end of the extensions")
        number = data[value - 2]
        if number == _PUBLISHER:
            publisher += data[value:start]
        elif number == _TAGS:
            tags += data[value:start]
        elif number == _POSITION and position is None:
            position = _read_position(data[value:start])
    payload = data[end:]
    if not kind and not payload.isascii():
        _check_text(payload)
    origin = data[3:HEADER_BYTES]
    attributes = _read_attributes(bytes(publisher), bytes(tags)) if publisher or tags else None
    if position is not None:
        return PositionedMessage(channel, payload, kind, origin, position=position, attributes=attributes)
    if attributes is not None:
        return AttributedMessage(channel, payload, kind, origin, attributes=attributes)
    return Message(channel, payload, kind, origin)


@lru_cache(_ATTRIBUTES)
def _read_attributes(publisher: bytes, tags: bytes) -> Attributes | None:
    """Return attributes without those that are none; None: nothing is left."""
    if publisher and read_publisher(publisher) is None:
        publisher = b""
    if tags and read_tags(tags) is None:
        tags = b""
    return Attributes(publisher, tags) if publisher or tags else None


def _read_position(value: bytes) -> Position:
    if len(value) <= _OFFSET_BYTES:
        raise EnvelopeError(f"position of {len(value)} bytes, expected at least {_OFFSET_BYTES + 1}")
    offset = int.from_bytes(value[:_OFFSET_BYTES], "big")
    if offset > MAX_OFFSET:
        raise EnvelopeError(f"a position with the offset {offset}")
    return Position(_read_epoch(value[_OFFSET_BYTES:]), offset)


@lru_cache(4096)
def _read_epoch(value: bytes) -> str:
    """Return an epoch. It goes to clients within lines of text: a program that writes to Redis must not write lines."""
    epoch = value.decode(errors="replace")
    if not is_epoch(epoch):
        raise EnvelopeError("the epoch of a position is none")
    return epoch
