"""A response over HTTP that doesn't end, seen from its socket."""

from __future__ import annotations

import asyncio
import socket
import struct
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self

from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.http_response import HttpResponse, parse_head
from tests.harness.tls_socket import TRUSTED, TlsSocket


class ResponseStream(ABC):
    """A request to a port of 127.0.0.1 whose response doesn't end. An async context manager: dropped at the end.

    A subclass takes the response's body.

    Args:
        port: TCP port.
        asked: the whole request.
        receive_buffer: bytes that the kernel may hold unread; None for its default.

    Attributes:
        head: status and headers of the response, and the body when it is no stream.
        asking: set when `asked` was sent.
    """

    head: HttpResponse

    def __init__(self, port: int, asked: bytes, receive_buffer: int | None = None) -> None:
        self.port = port
        self.asked = asked
        self.asking = asyncio.Event()
        self._socket = socket.socket()
        self._socket.setblocking(False)
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._tls: TlsSocket | None = None

    async def __aenter__(self) -> Self:
        try:
            await asyncio.get_running_loop().sock_connect(self._socket, ("127.0.0.1", self.port))
            if self.port in TRUSTED:
                self._tls = TlsSocket(self._socket, TRUSTED[self.port])
                await self._tls.handshake()
            await self.send(self.asked)
            self.asking.set()
            await self._read_head()
        except BaseException:
            self._socket.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._socket.close()

    async def send(self, data: bytes) -> None:
        """Send exact bytes over the stream's socket."""
        if self._tls is not None:
            await self._tls.send(data)
        else:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Drop the connection with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    async def _read_head(self) -> None:
        data = b""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while b"\r\n\r\n" not in data:
                if not (chunk := await self._read()):
                    raise EOFError(data)
                data += chunk
            head, _, rest = data.partition(b"\r\n\r\n")
            status, headers = parse_head(head)
            while len(rest) < int(headers.get("content-length", 0)):
                rest += await self._read()
        self.head = HttpResponse(status, headers, rest)
        if status == 200:
            self._take(rest)

    async def _read(self) -> bytes:
        """Return what comes next; nothing at the end."""
        try:
            if self._tls is not None:
                return await self._tls.receive()
            return await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        except ConnectionError:
            return b""

    @abstractmethod
    def _take(self, chunk: bytes) -> None:
        """Take a piece of the body."""
