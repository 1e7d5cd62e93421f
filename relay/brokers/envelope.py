"""How a message is written on the bus.

    offset  size  meaning
         0     2  FF 72: no UTF-8 text begins with FF, so no plain text is taken for an envelope
         2     1  version (high four bits) and kind (low four bits: 0 text, 1 binary)
         3    16  origin: id of the connection that sent it; zeros for none
        19     -  the payload, untouched

Anything that doesn't begin like this is a plain payload: what `redis-cli PUBLISH relay:lobby hello` sends.
It is text when it is valid UTF-8, and binary otherwise.
"""

from __future__ import annotations

from relay.message import NO_ORIGIN, ORIGIN_BYTES, Kind, Message

VERSION = 1
HEADER_BYTES = 3 + ORIGIN_BYTES

_MAGIC = b"\xff\x72"
# By kind; a tuple, because hashing a member of an enum is a call into Python.
_PREFIX = tuple(_MAGIC + bytes([VERSION << 4 | kind]) for kind in Kind)
_KIND = {prefix: kind for kind, prefix in zip(Kind, _PREFIX, strict=True)}


class EnvelopeError(ValueError):
    """Bytes that begin like an envelope, and are none that this gateway knows."""


def seal(message: Message) -> bytes:
    """Return the bytes that carry a message on the bus."""
    return _PREFIX[message.kind] + message.origin + message.payload


def open_envelope(channel: str, data: bytes) -> Message:
    """Return the message that was received on a channel.

    Raises:
        EnvelopeError: the header is broken or from another version, or the payload of a text is no UTF-8.
    """
    kind = _KIND.get(data[:3])
    if kind is not None:
        if len(data) < HEADER_BYTES:
            raise EnvelopeError(f"envelope of {len(data)} bytes, expected at least {HEADER_BYTES}")
        payload = data[HEADER_BYTES:]
        # Gateways let in valid text only; but a writer to Redis may claim anything: every browser of the channel would
        # end its connection (RFC 6455, section 8.1). 30 ns for 128 bytes of ASCII, 200 for others.
        if not kind and not payload.isascii():
            try:
                payload.decode()
            except UnicodeDecodeError as error:
                raise EnvelopeError(f"text that is not valid UTF-8 at byte {error.start}") from None
        return Message(channel, payload, kind, data[3:HEADER_BYTES])
    if data.startswith(_MAGIC):
        raise EnvelopeError(f"envelope of unknown version or kind {data[2:3].hex()!r}")
    try:
        data.decode()
    except UnicodeDecodeError:
        return Message(channel, data, Kind.BINARY, NO_ORIGIN)
    return Message(channel, data, Kind.TEXT, NO_ORIGIN)
