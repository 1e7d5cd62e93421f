"""The bytes on the wire: opening handshake, masked client frames, messages, parsing; and server-sent events.

A bench message is 128 bytes of text: publisher, sequence number, and the moment when
the message is due (nanoseconds after the start of the run), in hexadecimal, then filler.
"""

from __future__ import annotations

import base64
import hashlib
import os
import random
import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
TEXT, CLOSE, PING, PONG = 0x1, 0x8, 0x9, 0xA

MESSAGE_SIZE = 128
FILLER = bytes(33 + i % 90 for i in range(MESSAGE_SIZE - 28))
SENT_SIZE = 8 + MESSAGE_SIZE  # client frame: 2 bytes, 16-bit length, 4 bytes of mask
RECEIVED_SIZE = 4 + MESSAGE_SIZE  # server frame: 2 bytes, 16-bit length
EVENT_SIZE = 8 + MESSAGE_SIZE  # server-sent event: "data: ", an empty line


def connect(port: int, path: str) -> tuple[socket.socket, bytes]:
    """Open a TCP connection and send the opening handshake; return socket and its key."""
    sock = socket.create_connection(("127.0.0.1", port), timeout=30)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    key = base64.b64encode(os.urandom(16))
    sock.sendall(
        b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Key: %b\r\nSec-WebSocket-Version: 13\r\n\r\n"
        % (path.encode(), port, key)
    )
    return sock, key


def accept(sock: socket.socket, key: bytes) -> bytes:
    """Read the answer to the handshake; return the bytes that came after it."""
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = sock.recv(4096)
        if not chunk:
            raise ConnectionError(f"closed in the handshake: {data[:200]!r}")
        data += chunk
    head, _, rest = data.partition(b"\r\n\r\n")
    expected = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
    if not head.startswith(b"HTTP/1.1 101 ") or expected not in head:
        raise ConnectionError(f"refused: {data[:200]!r}")
    sock.setblocking(False)
    return rest


EMPTY_PING = b"\x89\x00"
ANSWER = b"\x8a\x80\0\0\0\0"  # a pong; an empty payload needs no masking


def open_many(port: int, path: str, count: int) -> list[socket.socket]:
    """Open count WebSocket connections, 50 at a time: fewer than a default backlog."""
    opened: list[socket.socket] = []
    while len(opened) < count:
        batch = [connect(port, path) for _ in range(min(50, count - len(opened)))]
        for sock, key in batch:
            rest = accept(sock, key)
            if rest.replace(EMPTY_PING, b""):
                raise ConnectionError(f"unexpected bytes after the handshake: {rest[:200]!r}")
            # The first ping comes at a random point of the interval: perhaps at once.
            sock.sendall(ANSWER * rest.count(EMPTY_PING))
            opened.append(sock)
    return opened


def client_frame(opcode: int, payload: bytes) -> bytes:
    """Return one masked frame; payload is at most 65535 bytes."""
    mask = random.getrandbits(32).to_bytes(4, "big")
    size = len(payload)
    head = bytes((0x80 | opcode,))
    head += bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    key = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    return head + mask + masked


def message(publisher: int, sequence: int, due: int) -> bytes:
    """Return the payload of one message; due in nanoseconds after the start of the run."""
    return b"%04x%08x%016x" % (publisher, sequence, due) + FILLER


def parse_message(payload: bytes) -> tuple[int, int, int] | None:
    """Return publisher, sequence and due time; None when this is not a bench message."""
    if len(payload) != MESSAGE_SIZE or payload[28:] != FILLER:
        return None
    try:
        return int(payload[:4], 16), int(payload[4:12], 16), int(payload[12:28], 16)
    except ValueError:
        return None


def frames(data: bytes | bytearray) -> Iterator[tuple[int, bytes, int]]:
    """Yield opcode, payload and end offset of each complete server frame in data."""
    position, total = 0, len(data)
    while position + 2 <= total:
        opcode, size = data[position] & 0x0F, data[position + 1] & 0x7F
        start = position + 2
        if size == 126:
            size = int.from_bytes(data[start : start + 2], "big")
            start += 2
        elif size == 127:
            size = int.from_bytes(data[start : start + 8], "big")
            start += 8
        position = start + size
        if position > total:
            return
        yield opcode, bytes(data[start:position]), position


def open_event_streams(port: int, path: str, count: int) -> list[socket.socket]:
    """Open count streams of server-sent events, and read up to the end of their first block, which asks for retries."""
    opened = []
    for _ in range(count):
        sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        sock.sendall(b"GET %b HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n" % (path.encode(), port))
        data = b""
        while b"\n\n" not in data:
            if not (chunk := sock.recv(4096)):
                raise ConnectionError(f"closed at the start: {data[:200]!r}")
            data += chunk
        if not data.startswith(b"HTTP/1.1 200 ") or not data.endswith(b"\n\n"):
            raise ConnectionError(f"no stream: {data[:200]!r}")
        sock.setblocking(False)
        opened.append(sock)
    return opened


def events(data: bytes | bytearray) -> Iterator[tuple[int, bytes, int]]:
    """Yield what frames() yields, of each complete event in data but heartbeats: TEXT for a plain one, else 0."""
    start = 0
    while (end := data.find(b"\n\n", start)) >= 0:
        block = bytes(data[start:end])
        start = end + 2
        if block == b":":
            continue
        yield TEXT if block.startswith(b"data: ") else 0, block.removeprefix(b"data: "), start


class Format(NamedTuple):
    """How subscribers are given messages."""

    open_many: Callable[[int, str, int], list[socket.socket]]  # port, path, number
    root: str  # of the request paths
    size: int  # of a message in bytes
    split: Callable[[bytes | bytearray], Iterator[tuple[int, bytes, int]]]  # opcode, payload and end of each


WEBSOCKET = Format(open_many, "/ws/", RECEIVED_SIZE, frames)
EVENTS = Format(open_event_streams, "/sse/", EVENT_SIZE, events)
