"""A client that carries its position from session to session, whatever it connects over.

Whatever ends a session, it comes back with the position of the last message that it has, to any of the servers. So it
expects every message from its first session on, once and in order, but for those that it is told are gone.
"""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from typing import Final, Protocol

from relay.loadtest.generator.backoff import Backoff
from relay.loadtest.generator.chunk import FaultyFrame
from relay.loadtest.generator.chunk_decoder import ChunkDecoder
from relay.loadtest.generator.connector import cause
from relay.loadtest.generator.delivery_checker import DeliveryChecker, Receiver
from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.http_connection import Headers, HttpConnection
from relay.loadtest.result.faults import Fault
from relay.loadtest.result.time_histogram import TimeHistogram

SILENCE_SECONDS: Final = 60.0
"""A stream without a word, heartbeats included, is taken to be dead after this time, as a client should."""

CUT: Final = "cut by the load test"
WITHOUT_A_WORD: Final = "closed without a word"

_OK: Final = 200
_clock = time.monotonic_ns


class RefusedError(RemoteProtocolError):
    """A server answered a request with another status than 200.

    Args:
        status: of the answer.
    """

    def __init__(self, status: int) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status

    @property
    def final(self) -> bool:
        """Whether the same request will be refused again: neither the server's fault, nor for a while."""
        return 400 <= self.status < 500 and self.status not in (408, 429)


class ResumingContext(Protocol):
    """What the clients of a worker share."""

    decoder: ChunkDecoder
    checker: DeliveryChecker
    epoch: int
    notices: int
    handshakes: TimeHistogram

    @property
    def headers(self) -> Headers:
        """Further headers of each request."""

    async def open(self, client: ResumingClient) -> HttpConnection:
        """Return a connection to the server that is the client's turn."""

    def joined(self, client: ResumingClient, resumed: bool) -> None:
        """Count a session that has begun; resumed: it goes on where the one before had ended."""

    def left(self, client: ResumingClient, reason: str) -> None:
        """Count a session that has ended."""

    def failed(self, client: ResumingClient, error: Exception) -> None:
        """Count a session that could not be begun."""

    def collect(self) -> None:
        """Count the latencies of all chunks received so far."""


class ResumingClient(ABC):
    """One client. `run` goes on until it is cancelled.

    Args:
        context: what it shares with the other clients of its worker.
        receiver: record of its deliveries.
        path: where it listens, below the server's URL.
        timeout: seconds within which a session must have begun.

    Attributes:
        number: of the connection.
        position: of the last message that it has; empty before its first session.
        tried: set when its first session has begun, or could not be begun.
    """

    def __init__(self, context: ResumingContext, receiver: Receiver, path: str, timeout: float) -> None:
        self.receiver = receiver
        self.number = receiver.number
        self.position = ""
        self.tried = asyncio.Event()
        self._context = context
        self._path = path
        self._timeout = timeout
        self._connection: HttpConnection | None = None
        self._limit: asyncio.Timeout | None = None
        self._live = self._cut = False
        self._begun = 0

    async def run(self) -> None:
        """Come, listen, and come back, with pauses that grow as long as it fails."""
        backoff = Backoff()
        while True:
            self._live = self._cut = False
            self._begun = _clock()
            error: Exception = RemoteProtocolError(WITHOUT_A_WORD)
            try:
                async with asyncio.timeout(self._timeout) as self._limit:
                    error = RemoteProtocolError(await self._session())
            except (OSError, RemoteProtocolError) as problem:
                error = problem
            finally:
                if self._connection is not None:
                    self._connection.reset()
                self._connection = None
            if self._live:
                self.receiver.away = True
                self._context.left(self, CUT if self._cut else cause(error))
                backoff = Backoff()
            else:
                self._context.failed(self, error)
            self.tried.set()
            await backoff.pause()

    def cut(self) -> None:
        """Break the present session; nothing happens without one."""
        if self._live and self._connection is not None:
            self._cut = True
            self._connection.reset()

    @abstractmethod
    async def _listen(self, connection: HttpConnection) -> str | None:
        """Listen until the session is over.

        Returns:
            Why the server has ended it; None: the next request needs another connection, that is all.

        Raises:
            OSError, RemoteProtocolError: it broke.
        """

    async def _session(self) -> str:
        while True:
            self._connection = await self._context.open(self)
            if (reason := await self._listen(self._connection)) is not None:
                return reason
            self._connection.reset()

    async def _ask(self, connection: HttpConnection, query: str, headers: Headers) -> None:
        """Send a request, and read the head of the answer.

        Raises:
            RefusedError: it is refused.
            OSError, RemoteProtocolError: it failed.
        """
        head = await connection.ask("GET", self._path + query, [*self._context.headers, *headers])
        if head.status != _OK:
            raise RefusedError(head.status)

    def _alive(self, seconds: float) -> None:
        """Wait at most so many seconds for the next word of the server."""
        assert self._limit is not None
        self._limit.reschedule(asyncio.get_running_loop().time() + seconds)

    def _join(self, resumed: bool) -> None:
        """Begin a session; all that is published from its position on must come."""
        if self._live:
            return
        self._live = True
        now = _clock()
        if resumed:
            self.receiver.away = False
        else:
            self.receiver.join(now - self._context.epoch)
        self._context.handshakes.add_one((now - self._begun) // 1000)
        self._alive(SILENCE_SECONDS)
        self._context.joined(self, resumed)
        self.tried.set()

    def _move(self, position: str) -> None:
        """Go on after this position from now on."""
        if not (position.isascii() and position.isprintable()):
            raise RemoteProtocolError("a position that can't be sent back")
        self.position = position

    def _take(self, payload: bytes, now: int) -> bool:
        """Check a message; return whether it is one of the run."""
        context, receiver = self._context, self.receiver
        chunk = context.decoder.recall_message(payload)
        chunk.times.append(now)
        for publisher, first, last in chunk.runs:
            if receiver.expected.get(publisher) == first:
                receiver.expected[publisher] = last + 1
            else:
                context.checker.receive(receiver, publisher, first, last, now - context.epoch)
        for event in chunk.events:
            if isinstance(event, FaultyFrame):
                self._fault(event.fault, now, event.text)
        if context.decoder.full:
            context.collect()
        return bool(chunk.runs)

    def _miss(self, now: int) -> None:
        """Take the server's word that messages may be missing."""
        self._context.notices += 1
        self.receiver.tell(now - self._context.epoch)

    def _fault(self, fault: Fault, now: int, text: str) -> None:
        self._context.checker.record_fault(fault, self.receiver, now - self._context.epoch, text=text)
