"""The bytes of a WebSocket client (RFC 6455): opening request, masked frames, and the server's frames cut up.

Written for the load test alone: the gateway's code would repeat its own mistakes here.
"""

from __future__ import annotations

import os
import random
from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha1
from typing import Final

from relay.errors import RelayError

CONTINUATION: Final = 0x0
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

MAX_FRAME_BYTES: Final = 16 << 20
"""A server that announces more is taken to be broken: no message of a load test is so long."""

MAX_HEAD_BYTES: Final = 16 << 10

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3


class WireError(RelayError):
    """The server broke the protocol; the text says how."""


def new_key() -> bytes:
    """Return a value for Sec-WebSocket-Key."""
    return b64encode(os.urandom(16))


def opening(target: str, host: str, key: bytes, headers: Sequence[tuple[str, str]]) -> bytes:
    """Return an opening request.

    Args:
        target: path and query.
        host: value of the Host header.
        key: from `new_key`.
        headers: further ones.
    """
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {host}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Key: {key.decode()}",
        "Sec-WebSocket-Version: 13",
        *(f"{name}: {value}" for name, value in headers),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def check_opening(head: bytes, key: bytes) -> None:
    """Check the answer to an opening request, up to its empty line.

    Raises:
        WireError: it is not the beginning of a WebSocket.
    """
    status, _, rest = head.partition(b"\r\n")
    if not status.startswith(b"HTTP/1.1 101"):
        words = status.split(b" ", 2)
        is_http = len(words) > 1 and words[0].startswith(b"HTTP/")
        # Three digits (RFC 9110, 15), however much a server makes of them.
        raise WireError(f"HTTP {words[1][:3].decode(errors='replace')}" if is_http else "not an HTTP answer")
    fields = dict(line.split(b":", 1) for line in rest.split(b"\r\n") if b":" in line)
    accept = next((value.strip() for name, value in fields.items() if name.lower() == b"sec-websocket-accept"), b"")
    if accept != b64encode(sha1(key + _GUID).digest()):
        raise WireError("wrong Sec-WebSocket-Accept")


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
    """Return first byte, payload and end of the frame that begins somewhere; None if it isn't complete.

    Raises:
        WireError: no server may send this.
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
        raise WireError("masked frame from a server")
    if len(data) < body:
        return None
    if size > MAX_FRAME_BYTES:
        raise WireError(f"frame of {size} bytes")
    end = body + size
    return (data[start], data[body:end], end) if end <= len(data) else None
