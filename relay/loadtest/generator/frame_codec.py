"""WebSocket frames (RFC 6455) of a client: masked frames encoded, the server's frames taken apart.

Written for the load test alone: the gateway's code would repeat its own mistakes here.
"""

from __future__ import annotations

import random
from typing import Final

from relay.errors import RelayError

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

MAX_FRAME_BYTES: Final = 16 << 20
"""A server that announces a longer frame is taken to be broken: no message of a load test is so long."""


class RemoteProtocolError(RelayError):
    """The server broke the protocol; the text says how."""


def client_frame(opcode: int, payload: bytes) -> bytes:
    """Return one unfragmented frame, masked as a client must (RFC 6455, 5.3)."""
    size = len(payload)
    mask = random.getrandbits(32)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((0x80 | opcode, 0xFF)) + size.to_bytes(8, "big")
    key = mask.to_bytes(4, "big")
    # One XOR of two big numbers: a loop over the bytes would be a hundred times slower.
    stream = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    return head + key + (int.from_bytes(payload, "big") ^ stream).to_bytes(size, "big")


def first_frame(data: bytes, start: int) -> tuple[int, bytes, int] | None:
    """Return first byte, payload and end of the frame that begins at `start`; None while it is incomplete.

    Raises:
        RemoteProtocolError: a server must not send this frame.
    """
    body = start + 2
    if len(data) < body:
        return None
    size = data[start + 1]
    if size == 126:
        body += 2
        size = int.from_bytes(data[body - 2 : body], "big")
    elif size == 127:
        body += 8
        size = int.from_bytes(data[body - 8 : body], "big")
    elif size > 127:
        raise RemoteProtocolError("masked frame from a server")
    if len(data) < body:
        return None
    if size > MAX_FRAME_BYTES:
        raise RemoteProtocolError(f"frame of {size} bytes")
    end = body + size
    return (data[start], data[body:end], end) if end <= len(data) else None
