"""The payload of each message: a header that identifies it and tells when it was due, then filler.

A payload is printable ASCII that survives inside JSON strings and URLs:

    "rly:" + base64url of 33 bytes (version, run, publisher, channel, sequence, due, lag, CRC-32) + filler
"""

from __future__ import annotations

import re
import struct
from base64 import urlsafe_b64encode
from binascii import a2b_base64
from typing import Final, NamedTuple
from zlib import crc32

MARK: Final = b"rly:"
MIN_SIZE: Final = 48
MAX_SIZE: Final = 1 << 20

_FIELDS: Final = struct.Struct("!BIIIIQI")
_CHECKSUM: Final = struct.Struct("!I")
_SIGNED: Final = struct.Struct(_FIELDS.format + "I")
_VERSION: Final = 1
_MAX_LAG: Final = 0xFFFFFFFF
_FILLER: Final = bytes(range(ord("a"), ord("z") + 1)) + b"0123456789"
_TOKEN: Final = re.compile(rb"rly:([A-Za-z0-9_-]{44})")
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")  # from base64url to base64


class MessageHeader(NamedTuple):
    """The header of one message.

    Args:
        run: number of the run.
        publisher: number of the publisher.
        channel: number of the channel that the message was sent to.
        sequence: number among the publisher's messages, from 0.
        due: ns from the run's start to the moment when the message had to be sent.
        lag: µs from the due time to the moment when the message was handed to the socket; capped at 32 bits.
    """

    run: int
    publisher: int
    channel: int
    sequence: int
    due: int
    lag: int


def filler(size: int) -> bytes:
    """Return what follows the header in a payload of `size` bytes."""
    count = size - MIN_SIZE
    return (_FILLER * (count // len(_FILLER) + 1))[:count]


def encode_payload(header: MessageHeader, tail: bytes) -> bytes:
    """Return the payload of a message.

    Args:
        header: header of the message.
        tail: `filler` of the payload's size.
    """
    fields = _FIELDS.pack(_VERSION, *header[:5], min(header.lag, _MAX_LAG))
    return MARK + urlsafe_b64encode(fields + _CHECKSUM.pack(crc32(fields))) + tail


def find_headers(text: bytes, tail: bytes) -> tuple[list[MessageHeader], list[bytes]]:
    """Return the headers of all messages in a frame, and the texts that look like a message but are damaged.

    Args:
        text: payload of a frame; the server may have put the messages into an envelope of its own.
        tail: `filler` of the run's messages; a message with other filler was altered on the way.
    """
    headers, damaged = [], []
    for match in _TOKEN.finditer(text):
        _, *content, checksum = _SIGNED.unpack(fields := a2b_base64(match[1].translate(_STANDARD)))
        if crc32(fields[: _FIELDS.size]) == checksum and text.startswith(tail, match.end()):
            headers.append(MessageHeader(*content))
        else:
            damaged.append(match[0])
    if len(headers) + len(damaged) < text.count(MARK):
        damaged.append(text[:64])
    return headers, damaged
