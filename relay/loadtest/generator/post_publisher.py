"""A publisher over HTTP: each message is sent until it is acknowledged, with a key by which it is published once.

What a WebSocket had on its way when its server died is no fault of the server, and would look as lost as what a server
forgets. An acknowledged message has no such excuse.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections import deque
from typing import Protocol

from relay.loadtest.generator.backoff import Backoff
from relay.loadtest.generator.connector import cause
from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.http_connection import Headers, HttpConnection
from relay.loadtest.generator.load_publisher import SendStatistics
from relay.loadtest.generator.payload import MessageHeader, encode_payload, filler
from relay.loadtest.generator.resuming_client import RefusedError


class PublishingContext(Protocol):
    """What the publishers of a worker share."""

    epoch: int
    send_statistics: SendStatistics

    @property
    def headers(self) -> Headers:
        """Further headers of each request."""

    async def open_publisher(self, publisher: PostPublisher) -> HttpConnection:
        """Return a connection to the server that is the publisher's turn."""

    def publisher_joined(self) -> None:
        """Count a publisher that has a connection for the first time."""

    def publisher_failed(self, reason: str) -> None:
        """Count a message that will never be taken, or a first connection that could not be made."""


class PostPublisher:
    """One publisher. `run` goes on until it is cancelled.

    Args:
        context: what it shares with the other publishers of its worker.
        number: number of the publisher in the whole run.
        connection_number: number of its connection.
        channel: number of its channel.
        path: where it publishes, below the server's URL.
        run: number of the run.
        size: payload size in bytes.
        timeout: seconds within which a message must be acknowledged.

    Attributes:
        sent_at: when each message that was acknowledged was sent first, ns since the run's start.
        backlog: due times of the messages that have not been acknowledged, ns since the run's start.
        tried: set when it has a connection, or could not get one.
    """

    def __init__(
        self,
        context: PublishingContext,
        number: int,
        connection_number: int,
        channel: int,
        path: str,
        run: int,
        size: int,
        timeout: float,
    ) -> None:
        self.number = number
        self.connection_number = connection_number
        self.sent_at = array("q")
        # Bounded by the schedule: at most the messages of one run.
        self.backlog: deque[int] = deque()
        self.tried = asyncio.Event()
        self._context = context
        self._channel = channel
        self._path = path
        self._run = run
        self._tail = filler(size)
        self._timeout = timeout
        self._due = asyncio.Event()
        self._connection: HttpConnection | None = None
        self._backoff = Backoff()
        self._given_up = False

    def send_due(self) -> None:
        """Have the backlog sent, one message after the other."""
        self._due.set()

    async def run(self) -> None:
        """Connect, and send what falls due."""
        try:
            while not await self._connect():
                await self._backoff.pause()
            self._context.publisher_joined()
            self.tried.set()
            while True:
                await self._due.wait()
                self._due.clear()
                while self.backlog:
                    await self._publish(self.backlog[0])
        finally:
            self._drop()

    async def _connect(self) -> bool:
        try:
            async with asyncio.timeout(self._timeout):
                self._connection = await self._context.open_publisher(self)
        except (OSError, RemoteProtocolError) as error:
            self._give_up(cause(error))
            self.tried.set()
            return False
        return True

    async def _publish(self, due: int) -> None:
        """Send a message until it is acknowledged."""
        now = time.monotonic_ns() - self._context.epoch
        sequence = len(self.sent_at)
        # The same bytes and the same key each time: the server may have published it although no answer came.
        header = MessageHeader(self._run, self.number, self._channel, sequence, due, (now - due) // 1000)
        payload = encode_payload(header, self._tail)
        key = f"{self._run:06x}-{self.number}-{sequence}"
        self._context.send_statistics.record(due, now)
        while not await self._attempt(payload, key):
            await self._backoff.pause()
        self._backoff.reset()
        self.sent_at.append(now)
        if self.backlog:  # else the run is over, and the message counts as unsent
            self.backlog.popleft()

    async def _attempt(self, payload: bytes, key: str) -> bool:
        """Send a message once; return whether it was acknowledged."""
        try:
            async with asyncio.timeout(self._timeout):
                if self._connection is None:
                    self._connection = await self._context.open_publisher(self)
                headers = [*self._context.headers, ("Content-Type", "text/plain"), ("Idempotency-Key", key)]
                head = await self._connection.ask("POST", self._path, headers, payload)
                await self._connection.whole()
                if not self._connection.reusable:
                    self._drop()
        except (OSError, RemoteProtocolError):
            self._drop()
            return False
        if head.status != 200:
            if (refusal := RefusedError(head.status)).final:
                self._give_up(f"publishing: {refusal}")
            # Another server may take it: this one may be about to stop.
            self._drop()
        return head.status == 200

    def _give_up(self, reason: str) -> None:
        """Count once that the messages don't get through."""
        if not self._given_up:
            self._given_up = True
            self._context.publisher_failed(reason)

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.reset()
        self._connection = None
