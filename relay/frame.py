"""WebSocket data frames as a server sends them: whole, unmasked (RFC 6455, section 5.2).

Only outgoing data frames are made here, because one frame is shared by all receivers of a message;
`websockets` would build it anew for each of them. Everything else of the protocol stays the library's.
"""

from __future__ import annotations

from relay.message import Kind, Message

_FIRST_BYTE = {Kind.TEXT: b"\x81", Kind.BINARY: b"\x82"}

# Headers of all short frames, ready-made: most messages have fewer than 126 bytes.
_SHORT = {kind: [first + bytes([size]) for size in range(126)] for kind, first in _FIRST_BYTE.items()}


def encode_frame(message: Message) -> bytes:
    """Return the frame that carries a message to a WebSocket client."""
    payload = message.payload
    size = len(payload)
    if size < 126:
        return _SHORT[message.kind][size] + payload
    if size < 65536:
        return b"%b\x7e%b%b" % (_FIRST_BYTE[message.kind], size.to_bytes(2, "big"), payload)
    return b"%b\x7f%b%b" % (_FIRST_BYTE[message.kind], size.to_bytes(8, "big"), payload)
