"""WebSocket data frames, whole: as a server sends them, unmasked (RFC 6455, section 5.2), and one as clients do.

Only outgoing data frames are made here, because one frame is shared by all receivers of a message;
`websockets` would build it anew for each of them. Everything else of the protocol stays the library's.
"""

from __future__ import annotations

from relay.message import Kind, Message

# By kind; tuples, because hashing a member of an enum is a call into Python.
_FIRST_BYTES = (b"\x81", b"\x82")
assert (Kind.TEXT, Kind.BINARY) == (0, 1)

# Headers of all short frames, ready-made: most messages have fewer than 126 bytes.
_SHORT = tuple([first + bytes([size]) for size in range(126)] for first in _FIRST_BYTES)
_MEDIUM = tuple(first + b"\x7e" for first in _FIRST_BYTES)
_LONG = tuple(first + b"\x7f" for first in _FIRST_BYTES)


def encode_frame(message: Message) -> bytes:
    """Return the frame that carries a message to a WebSocket client."""
    payload = message.payload
    size = len(payload)
    if size < 126:
        return _SHORT[message.kind][size] + payload
    if size < 65536:
        return _MEDIUM[message.kind] + size.to_bytes(2, "big") + payload
    return _LONG[message.kind] + size.to_bytes(8, "big") + payload


def last_frame(frames: bytes) -> bytes:
    """Return the last of some frames that `encode_frame` has made, joined."""
    start = 0
    while True:
        size = frames[start + 1]
        head = 2 if size < 126 else 4 if size == 126 else 10
        if head > 2:
            size = int.from_bytes(frames[start + 2 : start + head], "big")
        end = start + head + size
        if end >= len(frames):
            return frames[start:]
        start = end


def masked_frame(payload: bytes) -> bytes:
    """Return the frame in which a client would have sent a text, with a mask of zeroes (RFC 6455, section 5.3)."""
    frame = encode_frame(Message("", payload))
    head = len(frame) - len(payload)
    return bytes((frame[0], frame[1] | 0x80)) + frame[2:head] + bytes(4) + payload
