"""A client of server-sent events: the parser of the HTML Living Standard, section 9.2.6, and what it reads from."""

from __future__ import annotations

import asyncio
import base64
import codecs
import json
from dataclasses import dataclass
from typing import Any

from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.response_stream import ResponseStream


@dataclass(frozen=True, slots=True)
class Event:
    """What a listener would be called with.

    Args:
        kind: name of the event.
        data: its text.
        last_id: what a browser would send as `Last-Event-ID` after it.
    """

    kind: str
    data: str
    last_id: str = ""

    @property
    def payload(self) -> str | bytes:
        """The message that it carries, by the relay's event names.

        Raises:
            ValueError: it carries none.
        """
        if self.kind == "message":
            return self.data
        if self.kind not in ("text", "binary"):
            raise ValueError(self)
        raw = base64.b64decode(self.data, validate=True)
        return raw.decode() if self.kind == "text" else raw


class EventParser:
    """Takes a stream in pieces of any size.

    Attributes:
        retry: milliseconds that the stream asked to wait before the next connection; None: it didn't.
        comments: texts of the comments so far.
        last_id: what a browser would send as `Last-Event-ID`.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._rest = ""
        self._started = False
        self._data = ""
        self._kind = ""
        self._id = ""
        self.last_id = ""
        self.retry: int | None = None
        self.comments: list[str] = []

    def feed(self, chunk: bytes) -> list[Event]:
        """Return the events that are complete now."""
        text = self._decoder.decode(chunk)
        if text and not self._started:
            self._started = True
            text = text.removeprefix("\ufeff")
        self._rest += text
        events = []
        while (line := self._next_line()) is not None:
            if line:
                self._field(line)
            elif event := self._dispatch():
                events.append(event)
        return events

    def _next_line(self) -> str | None:
        rest = self._rest
        ends = [place for place in (rest.find("\r"), rest.find("\n")) if place >= 0]
        if not ends:
            return None
        end = min(ends)
        if rest[end] == "\r" and end + 1 == len(rest):
            return None  # a line feed may follow, and belongs to it
        self._rest = rest[end + 2 :] if rest.startswith("\r\n", end) else rest[end + 1 :]
        return rest[:end]

    def _field(self, line: str) -> None:
        name, colon, value = line.partition(":")
        value = value.removeprefix(" ")
        if colon and not name:
            self.comments.append(value)
        elif name == "data":
            self._data += value + "\n"
        elif name == "event":
            self._kind = value
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "retry" and value.isdecimal():
            self.retry = int(value)

    def _dispatch(self) -> Event | None:
        data, kind = self._data, self._kind
        self._data = self._kind = ""
        self.last_id = self._id
        return Event(kind or "message", data.removesuffix("\n"), self.last_id) if data else None


class EventStreamClient(ResponseStream):
    """A connection to `/sse` on a port of 127.0.0.1; see `ResponseStream`.

    Args:
        port, receive_buffer: see there.
        target: path and query.
        headers: further header lines, without line ends.

    Attributes:
        parser: of the stream.
        events: those that carry messages.
        closed: code and reason of the relay for ending the stream; None: it didn't say.
        missed: how many messages had come when it was told that some may be missing, and the position it was told.
        presence: who has come and who has gone, and from when on that is told: names of events, and what they say.
    """

    def __init__(self, port: int, target: str, *headers: str, receive_buffer: int | None = None) -> None:
        lines = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers, "", ""]
        super().__init__(port, "\r\n".join(lines).encode(), receive_buffer)
        self.parser = EventParser()
        self.events: list[Event] = []
        self.closed: tuple[int, str] | None = None
        self.missed: list[tuple[int, str | None]] = []
        self.presence: list[tuple[str, dict[str, Any]]] = []

    async def receive(self, count: int, within: float = PATIENCE_SECONDS) -> list[str | bytes]:
        """Read until so many events have come; return the messages of all that have.

        Raises:
            EOFError: the stream ended before.
        """
        async with asyncio.timeout(within):
            while len(self.events) < count:
                if not (chunk := await self._read()):
                    raise EOFError(self.events)
                self._take(chunk)
        return [event.payload for event in self.events]

    async def told(self, count: int, within: float = PATIENCE_SECONDS) -> list[tuple[str, str | None]]:
        """Read until so many events of presence have come; return their names and users."""
        async with asyncio.timeout(within):
            while len(self.presence) < count:
                if not (chunk := await self._read()):
                    raise EOFError(self.presence)
                self._take(chunk)
        return [(kind, said.get("user")) for kind, said in self.presence]

    async def to_the_end(self, within: float = PATIENCE_SECONDS) -> list[str | bytes]:
        """Read until the stream ends; return the messages."""
        async with asyncio.timeout(within):
            while chunk := await self._read():
                self._take(chunk)
        return [event.payload for event in self.events]

    async def heartbeats(self, count: int, within: float = PATIENCE_SECONDS) -> None:
        """Read until so many comments have come."""
        async with asyncio.timeout(within):
            while len(self.parser.comments) < count:
                self._take(await self._read())

    async def retry(self, within: float = PATIENCE_SECONDS) -> int:
        """Return how many milliseconds to wait before the next connection, once the stream has said so."""
        async with asyncio.timeout(within):
            while self.parser.retry is None:
                self._take(await self._read())
        return self.parser.retry

    async def position(self, within: float = PATIENCE_SECONDS) -> str:
        """Return what a browser would send as `Last-Event-ID`, once the stream has said so."""
        async with asyncio.timeout(within):
            while not self.parser.last_id:
                self._take(await self._read())
        return self.parser.last_id

    def _take(self, chunk: bytes) -> None:
        for event in self.parser.feed(chunk):
            if event.kind == "close":
                said = json.loads(event.data)
                self.closed = said["code"], said["reason"]
            elif event.kind == "missed":
                self.missed.append((len(self.events), json.loads(event.data)["position"]))
            elif event.kind in ("watching", "join", "leave"):
                self.presence.append((event.kind, json.loads(event.data)))
            else:
                self.events.append(event)
