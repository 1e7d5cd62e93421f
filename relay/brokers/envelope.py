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

from relay.errors import RelayError
from relay.message import NO_ORIGIN, ORIGIN_BYTES, Kind, Message, PositionedMessage
from relay.position import MAX_OFFSET, Position, is_epoch

VERSION = 1
HEADER_BYTES = 3 + ORIGIN_BYTES

_MAGIC = b"\xff\x72"
_EXTENDED = 0x08
_POSITION = 1
_OFFSET_BYTES = 8
# By kind; a tuple, because hashing a member of an enum is a call into Python.
_PREFIX = tuple(_MAGIC + bytes([VERSION << 4 | kind]) for kind in Kind)
_KIND = {prefix: kind for kind, prefix in zip(Kind, _PREFIX, strict=True)}
_LONE_POSITION = struct.Struct(">HBBQ")
_LONE_POSITION_BYTES = HEADER_BYTES + _LONE_POSITION.size
_EXTENDED_KIND = {_MAGIC + bytes([VERSION << 4 | _EXTENDED | kind]): kind for kind in Kind}


class EnvelopeError(RelayError, ValueError):
    """Bytes that begin like an envelope, and that this version can't read."""


def seal(message: Message) -> bytes:
    """Return the bytes that carry a message on the bus."""
    return _PREFIX[message.kind] + message.origin + message.payload


def seal_with_position(message: Message, position: Position) -> bytes:
    """Return the bytes that carry a message and its position in the channel's history.

    A function of its own: a look for a position would cost each message without one.

    Raises:
        ValueError: it is no position that a client could say.
    """
    if not is_epoch(position.epoch) or not 0 <= position.offset <= MAX_OFFSET:
        raise ValueError(f"a position that can't be written: {position}")
    value = struct.pack(">Q", position.offset) + position.epoch.encode()
    extensions = struct.pack(">HBB", 2 + len(value), _POSITION, len(value)) + value
    prefix = _MAGIC + bytes([VERSION << 4 | _EXTENDED | message.kind])
    return prefix + message.origin + extensions + message.payload


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
    # What the relay writes: a position alone. It is nearly every message of such a channel.
    if len(data) >= _LONE_POSITION_BYTES:
        total, number, size, offset = _LONE_POSITION.unpack_from(data, HEADER_BYTES)
        end = HEADER_BYTES + 2 + total
        if number == _POSITION and total == size + 2 and end <= len(data) and offset <= MAX_OFFSET and size > 8:
            payload = data[end:]
            if not kind and not payload.isascii():
                _check_text(payload)
            position = Position(_read_epoch(data[_LONE_POSITION_BYTES:end]), offset)
            return PositionedMessage(channel, payload, kind, data[3:HEADER_BYTES], position=position)
    return _open_any(channel, data, kind)


def _open_any(channel: str, data: bytes, kind: Kind) -> Message:
    """Return the message of an envelope with any extensions."""
    start = HEADER_BYTES + 2
    end = start + int.from_bytes(data[HEADER_BYTES:start], "big")
    if len(data) < max(start, end):
        raise EnvelopeError(f"envelope of {len(data)} bytes, expected at least {max(start, end)}")
    position: Position | None = None
    while start < end:
        # The last byte of the extensions may be a number without a size.
        value = start + 2
        start = value + (data[start + 1] if value <= end else 0)
        if start <= end and position is None and data[value - 2] == _POSITION:
            position = _read_position(data[value:start])
    if start != end:
        raise EnvelopeError("an extension goes beyond the end of the extensions")
    payload = data[end:]
    if not kind and not payload.isascii():
        _check_text(payload)
    if position is None:
        return Message(channel, payload, kind, data[3:HEADER_BYTES])
    return PositionedMessage(channel, payload, kind, data[3:HEADER_BYTES], position=position)


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
