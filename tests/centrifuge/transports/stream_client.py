"""A client of the Centrifuge protocol over HTTP, seen from its socket: a stream to hear, and requests to speak."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any, Self
from urllib.parse import quote

from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.event_source import EventParser
from tests.harness.http_response import HttpResponse, send_request
from tests.harness.response_stream import ResponseStream
from tests.harness.server_api import request

Said = dict[str, Any]


def commands(*said: Said) -> bytes:
    """Return commands as a client sends them, one on each line."""
    return b"\n".join(json.dumps(one).encode() for one in said)


CONNECT: Said = {"id": 1, "connect": {}}


class LineParser:
    """Takes lines of JSON in pieces of any size."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[Said]:
        """Return what is complete now."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        return [json.loads(line) for line in lines]


class SaidEvents:
    """Takes server-sent events in pieces of any size; see `LineParser`."""

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


class StreamClient(ResponseStream):
    """A client of a port of 127.0.0.1; see `ResponseStream`.

    Args:
        port, asked, receive_buffer: see there.
        parser: of the response's body.

    Attributes:
        began: the first bytes of the stream.
        told: what has come that is no ping, in order.
        pings: how many have come.
    """

    def __init__(
        self, port: int, asked: bytes, parser: LineParser | SaidEvents | None = None, receive_buffer: int | None = None
    ) -> None:
        super().__init__(port, asked, receive_buffer)
        self._parser = parser or LineParser()
        self._chunks = Chunks()
        self._ids = itertools.count(100)
        self.began = b""
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

    def _take(self, chunk: bytes) -> None:
        if self.head.headers.get("transfer-encoding") == "chunked":
            chunk = self._chunks.feed(chunk)
        self.began = (self.began + chunk)[:16]
        for one in self._parser.feed(chunk):
            if one == {}:
                self.pings += 1
            else:
                self.told.append(one)


async def emulate(port: int, body: bytes, *headers: str) -> HttpResponse:
    """Send a request to `/emulation`; without a body, its response has no length, and ends with the connection."""
    given = headers or ("Content-Type: application/json",)
    return await send_request(port, request("/emulation", body, "Connection: close", *given))
