"""A server of event streams, polls and publishes whose channels keep their messages. It is no part of the relay."""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

BACKLOG = 1024
EPOCH = "epoch"

Message = tuple[int, bytes]
"""Offset and payload."""


@dataclass(eq=False, slots=True)
class HistorySession:
    """One connection of a client.

    Args:
        writer: towards the client.

    Attributes:
        resumed: whether its first request had a position.
        sent: how many messages it was sent.
        turns: how often its server has let the fault happen that it has.
        held: a message that is sent behind the next one.
    """

    writer: asyncio.StreamWriter
    resumed: bool | None = None
    sent: int = 0
    turns: int = 0
    held: Message | None = None

    def end(self) -> None:
        """Close the connection, when everything is written."""
        self.writer.close()


@dataclass(slots=True)
class _Channel:
    messages: list[bytes] = field(default_factory=list)
    published: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def more_than(self, offset: int) -> None:
        async with self.published:
            await self.published.wait_for(lambda: len(self.messages) > offset)


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """A request, read whole; names of headers are in lower case."""

    method: str
    endpoint: str
    channel: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes

    def parameter(self, name: str) -> str:
        """Return a parameter of the query; empty when it isn't there."""
        return self.query.get(name, [""])[0]


class HistoryServer:
    """Serves http://…/sse/CHANNEL, /poll/CHANNEL and /publish/CHANNEL as the relay does. An async context manager.

    Each client is hung up on once, in its first session. Servers with faults override one of the steps `answer`,
    `deliver`, `acknowledge`, `known`, `kept` and `position`.

    Args:
        hang_up_after: messages of a first session after which it ends; None: it never does.
        keeps: whether a channel keeps its messages.

    Attributes:
        port: TCP port, on 127.0.0.1.
        deliveries: how many messages each session was sent.
        published: how many messages came for which channel.
        faults: what was done to whom: offsets of messages.
        notices: how often a client was told that it has missed something.
        publish_status: of the answer to who publishes.
    """

    publish_status = 200

    def __init__(self, *, hang_up_after: int | None = 20, keeps: bool = True) -> None:
        self.port = 0
        self.keeps = keeps
        self.deliveries: Counter[HistorySession] = Counter()
        self.published: Counter[str] = Counter()
        self.faults: list[tuple[HistorySession, int]] = []
        self.notices = 0
        self.sessions: set[HistorySession] = set()
        self._hang_up_after = hang_up_after
        self._channels: defaultdict[str, _Channel] = defaultdict(_Channel)
        self._answers: dict[str, int] = {}
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def url(self) -> str:
        """Address without a path."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def resumed(self) -> list[HistorySession]:
        """Sessions of clients that came back, those included that have ended."""
        return [session for session in self.deliveries if session.resumed]

    def deliver(self, session: HistorySession, message: Message) -> Iterable[Message]:
        """Return what is sent in the place of a message."""
        return [message]

    def acknowledge(self, session: HistorySession, again: bool) -> bool:
        """Return whether a message that was published is acknowledged; otherwise the connection ends.

        Args:
            session: of the publisher.
            again: whether its key had come before.
        """
        return True

    def known(self, key: str) -> bool:
        """Return whether a key has come before."""
        return key in self._answers

    def kept(self, messages: int, since: int) -> int | None:
        """Return the offset after which a client that comes back gets what it has missed; None: it is told.

        Args:
            messages: offset of the newest message.
            since: its own offset.
        """
        return since

    def position(self, offset: int) -> str:
        """Return a position as clients get it; empty for none."""
        return f"{EPOCH}:{offset}"

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, HistorySession(writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, session: HistorySession) -> None:
        self.sessions.add(session)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                while not session.writer.is_closing():
                    await self.answer(session, await _read(reader))
        finally:
            self.sessions.discard(session)
            session.writer.transport.abort()

    async def answer(self, session: HistorySession, request: HistoryRequest) -> None:
        """Answer a request."""
        since = request.headers.get("last-event-id") or request.parameter("cursor")
        if session.resumed is None:
            session.resumed = bool(since)
            self.deliveries[session] += 0
        channel = self._channels[request.channel]
        match request.method, request.endpoint:
            case "POST", "publish":
                await self._publish(session, channel, request)
            case "GET", "sse":
                await self._stream(session, channel, since)
            case "GET", "poll":
                await self._poll(session, channel, request, since)
            case _:
                respond(session, 404, b"")

    async def _publish(self, session: HistorySession, channel: _Channel, request: HistoryRequest) -> None:
        key = request.headers["idempotency-key"]
        again = self.known(key)
        if not again:
            channel.messages.append(request.body)
            self.published[request.channel] += 1
            self._answers[key] = len(channel.messages)
            async with channel.published:
                channel.published.notify_all()
        if self.acknowledge(session, again):
            respond(session, self.publish_status, json.dumps({"channel": request.channel}).encode())
        else:
            session.end()

    async def _stream(self, session: HistorySession, channel: _Channel, since: str) -> None:
        write = session.writer.write
        write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nretry: 1000\n\n")
        offset, missed = self._begin(channel, since)
        if missed:
            write(b'%sevent: missed\ndata: {"position":null}\n\n' % self._id(offset))
        else:
            write(self._id(offset) + b"\n")
        while not session.writer.is_closing():
            await channel.more_than(offset)
            for number, payload in self._due(session, channel, offset):
                write(self._id(number) + b"data: " + payload + b"\n\n")
            offset = len(channel.messages)
            if self._is_over(session):
                write(b'event: close\ndata: {"code":1001,"reason":"going away"}\n\n')
                session.end()

    async def _poll(self, session: HistorySession, channel: _Channel, request: HistoryRequest, since: str) -> None:
        if request.parameter("history") and not self.keeps:
            respond(session, 400, b"history: this channel keeps no messages")
            return
        offset, missed = self._begin(channel, since)
        with suppress(TimeoutError):
            async with asyncio.timeout(float(request.parameter("wait"))):
                await channel.more_than(offset)
        due = list(self._due(session, channel, offset))
        if self._is_over(session):
            session.end()
            return
        messages = [{"kind": "text", "text": payload.decode(), "position": self.position(n)} for n, payload in due]
        cursor = self.position(len(channel.messages)) if self.keeps else "secret.0"
        respond(session, 200, json.dumps({"messages": messages, "cursor": cursor, "missed": missed}).encode())

    def _begin(self, channel: _Channel, since: str) -> tuple[int, bool]:
        """Return the offset after which a client gets messages, and whether it is told that it missed some."""
        newest = len(channel.messages)
        if not since:
            return newest, False
        offset = self.kept(newest, int(since.rpartition(":")[2]))
        if offset is None:
            self.notices += 1
        return (newest, True) if offset is None else (offset, False)

    def _due(self, session: HistorySession, channel: _Channel, offset: int) -> Iterator[Message]:
        for number, payload in list(enumerate(channel.messages, 1))[offset:]:
            for message in self.deliver(session, (number, payload)):
                session.sent += 1
                self.deliveries[session] += 1
                yield message

    def _is_over(self, session: HistorySession) -> bool:
        return not session.resumed and self._hang_up_after is not None and session.sent >= self._hang_up_after

    def _id(self, offset: int) -> bytes:
        position = self.position(offset)
        return f"id: {position}\n".encode() if position else b""


async def _read(reader: asyncio.StreamReader) -> HistoryRequest:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    method, target, _ = first.split(" ")
    parts = urlsplit(target)
    _, endpoint, channel = parts.path.split("/", 2)
    return HistoryRequest(method, endpoint, unquote(channel), parse_qs(parts.query), headers, body)


def respond(session: HistorySession, status: int, body: bytes) -> None:
    """Write an answer."""
    head = f"HTTP/1.1 {status} So\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    session.writer.write(head.encode() + body)
