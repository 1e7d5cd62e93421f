"""A client of the Centrifuge protocol over HTTP, seen from its socket: a stream to hear, and requests to speak."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import struct
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Protocol, Self
from urllib.parse import quote

from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.event_source import EventParser
from tests.harness.http_response import HttpResponse, parse_head, send_request
from tests.harness.server_api import request
from tests.harness.tls_socket import TRUSTED, TlsSocket

Said = dict[str, Any]


def commands(*said: Said) -> bytes:
    """Return commands as a client sends them, one on each line."""
    return b"\n".join(json.dumps(one).encode() for one in said)


CONNECT: Said = {"id": 1, "connect": {}}


class Parser(Protocol):
    """Takes what a client is told in pieces of any size."""

    def feed(self, chunk: bytes) -> list[Said]:
        """Return what is complete now."""


class LineParser:
    """Takes lines of JSON; see `Parser`."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Said]:
        """Return what is complete now."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [json.loads(line) for line in lines]


class SaidEvents:
    """Takes server-sent events; see `Parser`."""

    def __init__(self) -> None:
        self._parser = EventParser()

    def feed(self, chunk: bytes) -> list[Said]:
        """Return what is complete now."""
        return [json.loads(event.data) for event in self._parser.feed(chunk)]


class Chunks:
    """Takes a body in chunks apart, as a proxy makes one of a body that ends with its connection."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return what is in the chunks that are complete now."""
        self._rest += data
        found = b""
        while b"\r\n" in self._rest:
            size, _, rest = self._rest.partition(b"\r\n")
            end = int(size, 16)
            if len(rest) < end + 2:
                break
            found += rest[:end]
            self._rest = rest[end + 2 :]
        return found


class StreamClient:
    """A request to a port of 127.0.0.1 whose response doesn't end. An async context manager: dropped at the end.

    Args:
        port: TCP port.
        asked: the whole request.
        parser: of the response's body.
        receive_buffer: bytes that the kernel may hold unread; None for its default.

    Attributes:
        head: status and headers of the response, and the body when it is no stream.
        began: the first bytes of the stream.
        asking: set when `asked` was sent.
        told: what has come that is no ping, in order.
        pings: how many have come.
    """

    head: HttpResponse

    def __init__(
        self, port: int, asked: bytes, parser: Parser | None = None, receive_buffer: int | None = None
    ) -> None:
        self.port = port
        self.asked = asked
        self._parser = parser or LineParser()
        self._socket = socket.socket()
        self._socket.setblocking(False)
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._tls: TlsSocket | None = None
        self._chunks: Chunks | None = None
        self._ids = itertools.count(100)
        self.began = b""
        self.asking = asyncio.Event()
        self.told: list[Said] = []
        self.pings = 0
        self.ended = False

    @classmethod
    def http_stream(cls, port: int, *said: Said, headers: Sequence[str] = (), **options: Any) -> Self:
        """Return one that speaks lines of JSON."""
        asked = request("/connection/http_stream", commands(*(said or [CONNECT])), *headers)
        return cls(port, asked, **options)

    @classmethod
    def sse(cls, port: int, *said: Said, headers: Sequence[str] = (), **options: Any) -> Self:
        """Return one that speaks events."""
        target = "/connection/sse?cf_connect=" + quote(commands(*(said or [CONNECT])))
        return cls(port, request(target, b"", *headers, method="GET"), SaidEvents(), **options)

    @classmethod
    def uni_sse(cls, port: int, wanted: Said | None = None, **options: Any) -> Self:
        """Return one that reads events and says nothing more."""
        query = "" if wanted is None else "?cf_connect=" + quote(json.dumps(wanted))
        return cls(port, request("/connection/uni_sse" + query, method="GET"), SaidEvents(), **options)

    @classmethod
    def uni_http_stream(cls, port: int, wanted: Said | None = None, **options: Any) -> Self:
        """Return one that reads lines and says nothing more."""
        return cls(port, request("/connection/uni_http_stream", json.dumps(wanted or {}).encode()), **options)

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
        if headers.get("transfer-encoding") == "chunked":
            self._chunks = Chunks()
        if status in (101, 200):
            self._take(rest)

    async def send(self, data: bytes) -> None:
        """Send exact bytes over the stream's socket."""
        if self._tls is not None:
            await self._tls.send(data)
        else:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def until(self, found: Callable[[Said], object], within: float = PATIENCE_SECONDS) -> Said:
        """Read until something was told, perhaps before; return it.

        Raises:
            EOFError: the stream ended before.
        """
        seen = 0
        async with asyncio.timeout(within):
            while True:
                for one in self.told[seen:]:
                    if found(one):
                        return one
                seen = len(self.told)
                await self.more()

    async def reply(self, id_: int) -> Said:
        """Return the reply to a command."""
        return await self.until(lambda one: one.get("id") == id_)

    async def pinged(self, count: int) -> None:
        """Read until so many pings have come."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self.pings < count:
                await self.more()

    async def more(self) -> None:
        """Read what comes next; raises `EOFError` at the end."""
        if not (chunk := await self._read()):
            self.ended = True
            raise EOFError(self.told)
        self._take(chunk)

    async def to_the_end(self) -> list[Said]:
        """Read until the stream has ended; return everything."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            try:
                while True:
                    await self.more()
            except EOFError:
                return self.told

    @property
    def published(self) -> list[Any]:
        """Data of the publications that have come, in order."""
        pushes = (one.get("push", one) for one in self.told)
        return [push["pub"]["data"] for push in pushes if "pub" in push]

    async def publications(self, count: int) -> list[Any]:
        """Read until so many have come; return their data."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(self.published) < count:
                await self.more()
        return self.published

    async def say(self, *said: Said, port: int | None = None) -> HttpResponse:
        """Say something by a request of its own, to the port of another gateway perhaps."""
        connected = (await self.until(lambda one: "connect" in one))["connect"]
        body = {"session": connected["session"], "node": connected["node"], "data": commands(*said).decode()}
        return await emulate(port or self.port, json.dumps(body).encode())

    async def ask(self, port: int | None = None, **wanted: Any) -> Said:
        """Say one command, and return its reply."""
        id_ = next(self._ids)
        response = await self.say({"id": id_, **wanted}, port=port)
        assert response.status == 204, response
        return await self.reply(id_)

    def half_close(self) -> None:
        """Say that nothing more will be sent."""
        self._socket.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Drop the connection with a TCP reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.close()

    def _take(self, chunk: bytes) -> None:
        if self._chunks is not None:
            chunk = self._chunks.feed(chunk)
        self.began = (self.began + chunk)[:16]
        for one in self._parser.feed(chunk):
            if one == {}:
                self.pings += 1
            else:
                self.told.append(one)

    async def _read(self) -> bytes:
        try:
            if self._tls is not None:
                return await self._tls.receive()
            return await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        except ConnectionError:
            return b""


async def emulate(port: int, body: bytes, *headers: str) -> HttpResponse:
    """Send a request to `/emulation`; without a body, its response has no length, and ends with the connection."""
    given = headers or ("Content-Type: application/json",)
    return await send_request(port, request("/emulation", body, "Connection: close", *given))
