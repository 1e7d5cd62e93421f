"""A connection over HTTP/1.1: requests one after the other, and answers of any framing.

Written for the load test alone, as its frame codec is. A balancer may frame an answer otherwise than the gateway did.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, NamedTuple, Self

from relay.loadtest.generator.dialer import Dialer
from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.plan.server_address import ServerAddress

MAX_BODY_BYTES: Final = 64 << 20
"""A server that answers a request with more is taken to be broken."""

MAX_HEAD_BYTES: Final = 64 << 10
PIECE_BYTES: Final = 64 << 10

_BROKEN: Final = "closed in the middle of an answer"
_NO_LINGER: Final = struct.pack("ii", 1, 0)

Headers = Sequence[tuple[str, str]]
"""Names and values of header fields."""


class ResponseHead(NamedTuple):
    """The head of an answer.

    Args:
        status: such as 200.
        fields: name in lower case → value.
    """

    status: int
    fields: dict[str, str]


class HttpConnection:
    """One connection; make it with `open`.

    Args:
        reader: of its stream.
        writer: of its stream.
        host: value of the Host header.
        prefix: path of the server's URL, in front of each target.
        count: called with the number of bytes of each piece that has come.

    Attributes:
        reusable: whether another request may follow once the present answer has been read.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        host: str,
        prefix: str,
        count: Callable[[int], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._host = host
        self._prefix = prefix
        self._count = count
        self._head = ResponseHead(0, {})
        self.reusable = True

    @classmethod
    async def open(
        cls, dialer: Dialer, address: ServerAddress, source: str | None, prefix: str, count: Callable[[int], None]
    ) -> Self:
        """Return a connection to a server.

        Args:
            dialer: opens the TCP connection.
            address: of the server.
            source: local address; None: the system chooses.
            prefix: path of the server's URL, in front of each target.
            count: called with the number of bytes of each piece that has come.

        Raises:
            OSError: it failed.
        """
        sock = await dialer.dial(address, source)
        tls = dialer.tls(address)
        try:
            reader, writer = await asyncio.open_connection(
                sock=sock, ssl=tls, server_hostname=address.name if tls else None, limit=MAX_HEAD_BYTES
            )
        except BaseException:
            sock.close()
            raise
        return cls(reader, writer, address.host, prefix, count)

    async def ask(self, method: str, target: str, headers: Headers, body: bytes | None = None) -> ResponseHead:
        """Send a request, and return the head of the answer; its body must be read before the next request.

        Args:
            method: such as GET.
            target: path, below the server's URL, and query.
            headers: besides Host and Content-Length.
            body: None: there is none.

        Raises:
            OSError, RemoteProtocolError: there is no answer, or it can't be understood.
        """
        lines = [f"{method} {self._prefix}{target} HTTP/1.1", f"Host: {self._host}"]
        lines += [f"{name}: {text}" for name, text in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self._head = ResponseHead(0, {})
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        self._head = _parse_head(await self._until(b"\r\n\r\n"))
        fields = self._head.fields
        framed = "content-length" in fields or self._chunked
        self.reusable = framed and fields.get("connection", "").lower() != "close"
        return self._head

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yield the body in pieces, as they come.

        Raises:
            OSError, RemoteProtocolError: the connection broke before the body's end, or the framing is broken.
        """
        if self._chunked:
            while size := _number(await self._until(b"\r\n"), 16):
                async for piece in self._exactly(size):
                    yield piece
                await self._until(b"\r\n")
            await self._until(b"\r\n")
        elif (length := self._head.fields.get("content-length")) is not None:
            async for piece in self._exactly(_number(length.encode(), 10)):
                yield piece
        else:
            while piece := await self._some(PIECE_BYTES):
                yield piece

    async def whole(self) -> bytes:
        """Return the body.

        Raises:
            OSError, RemoteProtocolError: the connection broke before its end, it is too long, or its framing is broken.
        """
        body = bytearray()
        async for piece in self.pieces():
            body += piece
            if len(body) > MAX_BODY_BYTES:
                raise RemoteProtocolError("endless answer")
        return bytes(body)

    def reset(self) -> None:
        """End the connection at once, by a TCP reset: no port stays in TIME_WAIT."""
        sock: socket.socket | None = self._writer.get_extra_info("socket")
        if sock is not None and not self._writer.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._writer.transport.abort()

    @property
    def _chunked(self) -> bool:
        return "chunked" in self._head.fields.get("transfer-encoding", "").lower()

    async def _exactly(self, size: int) -> AsyncIterator[bytes]:
        while size:
            piece = await self._some(min(size, PIECE_BYTES))
            if not piece:
                raise RemoteProtocolError(_BROKEN)
            size -= len(piece)
            yield piece

    async def _some(self, most: int) -> bytes:
        piece = await self._reader.read(most)
        self._count(len(piece))
        return piece

    async def _until(self, end: bytes) -> bytes:
        try:
            text = await self._reader.readuntil(end)
        except asyncio.IncompleteReadError as error:
            raise RemoteProtocolError(_BROKEN if error.partial or self._head.status else "closed unanswered") from None
        except asyncio.LimitOverrunError:
            raise RemoteProtocolError("endless head of an answer") from None
        self._count(len(text))
        return text.removesuffix(end)


def _parse_head(head: bytes) -> ResponseHead:
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not (words[1].isdecimal() and len(words[1]) == 3):
        raise RemoteProtocolError("not an HTTP answer")
    pairs = (line.partition(":") for line in lines)
    return ResponseHead(int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs})


def _number(text: bytes, base: int) -> int:
    digits = text.partition(b";")[0].strip()  # chunks may have extensions
    try:
        number = int(digits, base)
    except ValueError:
        raise RemoteProtocolError("an answer of no length that can be read") from None
    if number < 0:
        raise RemoteProtocolError("an answer of no length that can be read")
    return number
