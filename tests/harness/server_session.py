"""One client's connection to a WebSocket server made by hand: it can send what an honest server can't."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import struct
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import parse_qs, unquote, urlsplit

from tests.harness.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, encode_frame

RESET_SECONDS = 0.1
_ACCEPT_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True, slots=True)
class Request:
    """A client's wish for a WebSocket.

    Args:
        target: path and query, as they were sent.
        headers: names in lower case.
    """

    target: str
    headers: dict[str, str]

    @property
    def channel(self) -> str:
        """Last part of the path."""
        return unquote(urlsplit(self.target).path.rpartition("/")[2])

    @property
    def client(self) -> str:
        """What the query says for "client"; empty without."""
        return parse_qs(urlsplit(self.target).query).get("client", [""])[0]

    @property
    def switching(self) -> bytes:
        """The answer that grants the wish."""
        key = self.headers["sec-websocket-key"].encode()
        accept = base64.b64encode(hashlib.sha1(key + _ACCEPT_SALT, usedforsecurity=False).digest()).decode()
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        return "\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", "", ""]).encode()


@dataclass(frozen=True, slots=True)
class Pace:
    """How bytes leave: at most so many at a time, so many seconds after the last or after the first that waits."""

    size: int
    seconds: float


class Owner(Protocol):
    """The server that a session belongs to; it is told what happens."""

    pace: Pace | None

    def answer(self, session: ServerSession) -> bytes | None:
        """Return what is answered to `session.request`; None: nothing, ever."""

    def opened(self, session: ServerSession) -> None:
        """The WebSocket is open."""

    def received(self, session: ServerSession, opcode: int, payload: bytes) -> None:
        """A whole message came."""

    def ponged(self, session: ServerSession, payload: bytes) -> None:
        """A pong came."""

    def connected(self, session: ServerSession) -> None:
        """The TCP connection is there."""

    def ended(self, session: ServerSession) -> None:
        """The TCP connection is gone."""


@dataclass(eq=False, slots=True)
class ServerSession(asyncio.Protocol):
    """A connection, from its first byte to its end.

    Attributes:
        request: what the client asked for; before that has come, an empty one.
        open: whether messages can go both ways.
        close_code: of the client's close frame; None before, 0 when it named none.
    """

    owner: Owner
    request: Request = Request("", {})
    open: bool = False
    close_code: int | None = None
    _transport: asyncio.Transport = field(init=False)
    _unread: bytearray = field(default_factory=bytearray)
    _parts: list[Frame] = field(default_factory=list)
    _waiting: bytearray = field(default_factory=bytearray)
    _upgraded: bool = False
    _closing: bool = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.owner.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self.owner.ended(self)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        if not self._upgraded and not self._upgrade():
            return
        while (frame := take_frame(self._unread)) is not None:
            self._handle(frame)

    def send(self, payload: bytes, opcode: int = TEXT) -> None:
        """Send one message, in one frame."""
        self.write(encode_frame(opcode, payload, masked=False))

    def write(self, data: bytes) -> None:
        """Send exact bytes, at the pace of the server; nothing happens after a close frame."""
        if not self.open or self._transport.is_closing():
            return
        pace = self.owner.pace
        if pace is None:
            self._transport.write(data)
            return
        if not self._waiting:
            asyncio.get_running_loop().call_later(pace.seconds, self._write_some, pace)
        self._waiting += data

    def close(self, code: int | None = None, reason: str = "") -> None:
        """Send a close frame; the client has to answer it."""
        payload = b"" if code is None else struct.pack("!H", code) + reason.encode()
        self.write(encode_frame(CLOSE, payload, masked=False))
        self.open = False

    def end(self) -> None:
        """Close the TCP connection, when everything is written."""
        self.open, self._closing = False, True
        if not self._waiting:
            self._transport.close()

    def reset_soon(self) -> None:
        """Send nothing more, and drop the connection with a TCP reset once everything has arrived."""
        self.open = False
        asyncio.get_running_loop().call_later(RESET_SECONDS, self.reset)

    def reset(self) -> None:
        """Drop the connection with a TCP reset; what has not left by then is thrown away."""
        if self._transport.is_closing():
            return
        connection = self._transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.abort()

    def abort(self) -> None:
        """Drop the connection as the death of a process does."""
        self.open = False
        self._transport.abort()

    def stop_reading(self) -> None:
        """Leave what the client sends in the kernel's buffer, from the connection's first byte on if need be."""
        # Not before the event loop reads from a new socket: CPython 3.11.2 forgets a pause that is older than that.
        asyncio.get_running_loop().call_soon(self._transport.pause_reading)

    def resume_reading(self) -> None:
        """Read again."""
        asyncio.get_running_loop().call_soon(self._read_on)

    def _read_on(self) -> None:
        if not self._transport.is_closing():
            self._transport.resume_reading()

    def _upgrade(self) -> bool:
        head, end, rest = bytes(self._unread).partition(b"\r\n\r\n")
        if not end:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        pairs = (line.split(":", 1) for line in lines)
        self.request = Request(first.split(" ")[1], {name.strip().lower(): value.strip() for name, value in pairs})
        self._unread = bytearray(rest)
        response = self.owner.answer(self)
        if response is None:
            return False
        self._transport.write(response)
        if response != self.request.switching:
            self._transport.close()
            return False
        self.open = self._upgraded = True
        self.owner.opened(self)
        return True

    def _handle(self, frame: Frame) -> None:
        if frame.opcode in (TEXT, BINARY, CONTINUATION):
            self._parts.append(frame)
            if frame.fin and self.open:
                parts, self._parts = self._parts, []
                self.owner.received(self, parts[0].opcode, b"".join(part.payload for part in parts))
        elif frame.opcode == PING:
            self.send(frame.payload, PONG)
        elif frame.opcode == PONG:
            self.owner.ponged(self, frame.payload)
        elif frame.opcode == CLOSE:
            self.close_code = int.from_bytes(frame.payload[:2], "big")
            if self.open:
                self.send(frame.payload[:2], CLOSE)
            self.end()

    def _write_some(self, pace: Pace) -> None:
        if not self._transport.is_closing():
            self._transport.write(bytes(self._waiting[: pace.size]))
        del self._waiting[: pace.size]
        if self._waiting:
            asyncio.get_running_loop().call_later(pace.seconds, self._write_some, pace)
        elif self._closing:
            self._transport.close()


def take_frame(data: bytearray) -> Frame | None:
    """Remove a client's frame from the beginning of what was read, and return it; None when it isn't there in full."""
    if len(data) < 2:
        return None
    assert data[1] & 0x80, "a client must mask"
    size, begin = data[1] & 0x7F, 2
    if size > 125:
        begin = 4 if size == 126 else 10
        size = int.from_bytes(data[2:begin], "big")
    if len(data) < begin + 4 + size:
        return None
    mask, masked = bytes(data[begin : begin + 4]), bytes(data[begin + 4 : begin + 4 + size])
    repeated = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    payload = (int.from_bytes(masked, "big") ^ repeated).to_bytes(size, "big")
    frame = Frame(data[0] & 0x0F, payload, bool(data[0] & 0x80))
    del data[: begin + 4 + size]
    return frame
