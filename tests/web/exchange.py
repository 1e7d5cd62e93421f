"""Requests of the tests, and connections that they are sent over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from relay import Gateway
from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.http_response import HttpResponse, read_response
from tests.harness.server_api import KEY, request

PUBLISH = request("/publish/a", b"x", "Content-Type: text/plain")
INFO = request("/api/info", b"{}", f"X-API-Key: {KEY}")
POLL = request("/poll/b?wait=0", method="GET")
WAITING = request("/poll/b?wait=25", method="GET")
HANDSHAKE = request(
    "/ws/a?echo=1", b"", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13", method="GET",
)  # fmt: skip


async def talk(gateway: Gateway, data: bytes, count: int = 1) -> list[HttpResponse]:
    """Send bytes over a fresh connection, and return so many answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        writer.write(data)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return [await read_response(reader) for _ in range(count)]
    finally:
        writer.transport.abort()


async def everything(port: int, data: bytes, cuts: list[int], *, half_close: bool = True) -> bytes:
    """Send bytes in pieces, and return all that comes until the gateway closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            writer.write(data[start:end])
            await asyncio.sleep(0)
        if half_close:
            writer.write_eof()
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await reader.read()
    finally:
        writer.transport.abort()


def statuses(answers: bytes) -> list[int]:
    """Return the statuses of answers in a row."""
    return [int(piece[:3]) for piece in answers.split(b"HTTP/1.1 ")[1:]]


class KeptConnection:
    """One HTTP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def ask(self, data: bytes) -> HttpResponse:
        """Send a request and return its answer."""
        self.writer.write(data)
        return await self.answer()

    async def answer(self) -> HttpResponse:
        """Return the next answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await read_response(self.reader)

    async def ended(self, within: float = 10) -> bool:
        """Wait until the gateway closes; return whether nothing came before."""
        async with asyncio.timeout(within):
            try:
                return await self.reader.read() == b""
            except ConnectionError:
                return True


@asynccontextmanager
async def keep_open(gateway: Gateway) -> AsyncIterator[KeptConnection]:
    """Open a connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    try:
        yield KeptConnection(reader, writer)
    finally:
        writer.transport.abort()
