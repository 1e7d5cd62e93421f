"""What every message carries: who sent it, as which of its messages, and when it was due.

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
_STANDARD: Final = bytes.maketrans(b"-_", b"+/")  # what base64url is called in base64


class Stamp(NamedTuple):
    """The content of one message.

    Args:
        run: number of the run.
        publisher: number of the publisher.
        channel: number of the channel that it was sent to.
        sequence: number among the publisher's messages, from 0.
        due: ns from the run's start to the moment when it had to be sent.
        lag: µs from then to the moment when it was handed to the socket; the largest value stands for more, too.
    """

    run: int
    publisher: int
    channel: int
    sequence: int
    due: int
    lag: int


def filler(size: int) -> bytes:
    """Return what follows the stamp in a payload of so many bytes."""
    count = size - MIN_SIZE
    return (_FILLER * (count // len(_FILLER) + 1))[:count]


def encode(stamp: Stamp, tail: bytes) -> bytes:
    """Return the payload of a message.

    Args:
        stamp: its content.
        tail: `filler` of the size wanted.
    """
    fields = _FIELDS.pack(_VERSION, *stamp[:5], min(stamp.lag, _MAX_LAG))
    return MARK + urlsafe_b64encode(fields + _CHECKSUM.pack(crc32(fields))) + tail


def find(text: bytes, tail: bytes) -> tuple[list[Stamp], list[bytes]]:
    """Return the stamps of all messages in a frame, and whatever looks like a message but is none.

    Args:
        text: payload of a frame, perhaps with a server's own wrapping around the messages.
        tail: `filler` of the run's messages; a message with another one was changed on the way.
    """
    stamps, broken = [], []
    for match in _TOKEN.finditer(text):
        _, *content, checksum = _SIGNED.unpack(fields := a2b_base64(match[1].translate(_STANDARD)))
        if crc32(fields[: _FIELDS.size]) == checksum and text.startswith(tail, match.end()):
            stamps.append(Stamp(*content))
        else:
            broken.append(match[0])
    if len(stamps) + len(broken) < text.count(MARK):
        broken.append(text[:64])
    return stamps, broken
