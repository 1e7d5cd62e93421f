"""A WebSocket client made by hand: it sends what an honest one can't, and reads only when told."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.http_response import HttpResponse, parse_head
from tests.harness.tls_socket import TRUSTED, TlsSocket

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame as it was received."""

    opcode: int
    payload: bytes
    fin: bool = True


def encode_frame(
    opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True, reserved: int = 0
) -> bytes:
    """Return the bytes of a frame (RFC 6455, section 5.2).

    Args:
        opcode: 0 to 15.
        payload: any length.
        fin: whether it is the last frame of its message.
        masked: a server must refuse frames that aren't.
        reserved: the three reserved bits, 0 to 7.
    """
    size = len(payload)
    head = bytes([fin << 7 | reserved << 4 | opcode])
    mask_bit = masked << 7
    if size < 126:
        head += bytes([mask_bit | size])
    elif size < 65536:
        head += bytes([mask_bit | 126]) + struct.pack("!H", size)
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", size)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    repeated = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ repeated).to_bytes(size, "big")


class RawWebSocket:
    """A connection to a port of 127.0.0.1. An async context manager: dropped at the end.

    Args:
        port: TCP port.
        receive_buffer: bytes that the kernel may hold unread (at least about 2 KiB); None for its default.

    Attributes:
        tls: of the connection, where the port speaks it.
    """

    def __init__(self, port: int, receive_buffer: int | None = None) -> None:
        self._port = port
        self._buffer = bytearray()
        self.tls: TlsSocket | None = None
        self._socket = socket.socket()
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)

    async def __aenter__(self) -> Self:
        try:
            await asyncio.get_running_loop().sock_connect(self._socket, ("127.0.0.1", self._port))
            if self._port in TRUSTED:
                self.tls = TlsSocket(self._socket, TRUSTED[self._port])
                await self.tls.handshake()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def upgrade(self, target: str, *headers: str, within: float = PATIENCE_SECONDS) -> HttpResponse:
        """Ask for a WebSocket and return the answer, whatever it is.

        Args:
            target: path and query, sent as they are.
            headers: further header lines, without line ends.
            within: seconds until the answer must be there.
        """
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {target} HTTP/1.1", "Host: 127.0.0.1", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", *headers]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n")
        return await self.response(within)

    async def response(self, within: float = PATIENCE_SECONDS) -> HttpResponse:
        """Read an HTTP response."""
        async with asyncio.timeout(within):
            while b"\r\n\r\n" not in self._buffer:
                await self._more()
            head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
            status, headers = parse_head(head)
            length = int(headers.get("content-length", 0))
            while len(rest) < length:
                await self._more()
                rest = bytes(self._buffer)[len(head) + 4 :]
            self._buffer = bytearray(rest[length:])
            return HttpResponse(status, headers, rest[:length])

    async def send(self, data: bytes) -> None:
        """Send exact bytes."""
        if self.tls is not None:
            await self.tls.send(data)
        else:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def send_raw(self, data: bytes) -> None:
        """Send exact bytes, where the port speaks TLS, too."""
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def send_frame(self, opcode: int, payload: bytes = b"", *, fin: bool = True, masked: bool = True) -> None:
        """Send one frame."""
        await self.send(encode_frame(opcode, payload, fin=fin, masked=masked))

    async def frame(self, within: float = PATIENCE_SECONDS) -> Frame:
        """Read one frame.

        Raises:
            EOFError: the connection ended before or within it.
        """
        async with asyncio.timeout(within):
            first, second = await self._take(2)
            assert not second & 0x80, "a server must not mask"
            size = second
            if size == 126:
                (size,) = struct.unpack("!H", await self._take(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", await self._take(8))
            return Frame(first & 0x0F, await self._take(size), bool(first & 0x80))

    async def frames_to_the_end(self, within: float = PATIENCE_SECONDS) -> list[Frame]:
        """Read frames until the connection ends, answer a close frame, and close the socket.

        A last frame that was cut short is left out.
        """
        frames: list[Frame] = []
        async with asyncio.timeout(within):
            while True:
                try:
                    frames.append(await self.frame(within))
                except EOFError:
                    self.close()
                    return frames
                if frames[-1].opcode == CLOSE:
                    with suppress(ConnectionError):
                        await self.send_frame(CLOSE, frames[-1].payload[:2])

    async def close_frame(self, within: float = PATIENCE_SECONDS) -> tuple[int, str]:
        """Skip frames up to the close frame, and return its code and reason."""
        async with asyncio.timeout(within):
            while (frame := await self.frame(within)).opcode != CLOSE:
                pass
        return close_of(frame)

    async def end(self, within: float = PATIENCE_SECONDS) -> None:
        """Read, and throw away, until the relay has ended the connection."""
        async with asyncio.timeout(within):
            try:
                while True:
                    self._buffer.clear()
                    await self._more()
            except EOFError:
                return

    def shutdown(self) -> None:
        """Close this side of the socket, and keep the other."""
        self._socket.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Drop the connection with a TCP reset."""
        if self._socket.fileno() >= 0:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._socket.close()

    def close(self) -> None:
        """Close the socket, without a closing handshake."""
        self._socket.close()

    async def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            await self._more()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    async def _more(self) -> None:
        try:
            if self.tls is not None:
                data = await self.tls.receive()
            else:
                data = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        except ConnectionError:
            data = b""
        if not data:
            raise EOFError
        self._buffer += data


@asynccontextmanager
async def upgraded(
    port: int, target: str, count: int, receive_buffer: int | None = None
) -> AsyncIterator[list[RawWebSocket]]:
    """Open several WebSockets, one after the other; dropped at the end.

    Args:
        port: TCP port.
        target: path and query.
        count: how many.
        receive_buffer: see `RawWebSocket`.
    """
    async with AsyncExitStack() as stack:
        raws = []
        for _ in range(count):
            raw = await stack.enter_async_context(RawWebSocket(port, receive_buffer))
            answer = await raw.upgrade(target)
            assert answer.status == 101, answer
            raws.append(raw)
        yield raws


def close_of(frame: Frame) -> tuple[int, str]:
    """Return code and reason of a close frame."""
    assert frame.opcode == CLOSE
    return int.from_bytes(frame.payload[:2], "big"), frame.payload[2:].decode()
