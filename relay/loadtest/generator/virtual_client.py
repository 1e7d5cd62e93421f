"""One connection of the load test: opening handshake, then frames, and what became of it."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import Final, Protocol, cast

from relay.loadtest.generator.chunk_decoder import Reader
from relay.loadtest.generator.delivery_checker import Checker, Receiver
from relay.loadtest.generator.event import Answer, Broken, Close, Event, Ping, Ready, Strange
from relay.loadtest.generator.frame_codec import (
    CLOSE,
    MAX_HEAD_BYTES,
    PONG,
    TEXT,
    WireError,
    check_opening,
    client_frame,
)
from relay.loadtest.generator.load_publisher import Publisher

_LINGER_NOT: Final = struct.pack("ii", 1, 0)
MAX_UNREAD_BYTES: Final = 1 << 20
"""Answers to pings that a server hasn't read; one that leaves more unread only wants to fill our memory."""

_NOBODY: Final = asyncio.Protocol()
_clock = time.monotonic_ns


class Crowd(Protocol):
    """What a client knows of the others: what they share, and whom to tell."""

    reader: Reader
    checker: Checker
    epoch: int
    bytes_received: int
    pings: int

    def joined(self, client: Client) -> None:
        """Take note that a client is subscribed."""

    def left(self, client: Client, reason: str) -> None:
        """Take note that a session has ended, and why; empty: the client wanted it."""

    def collect(self) -> None:
        """Count the latencies of all that was read."""


class Client(asyncio.Protocol):
    """One client, over all its sessions.

    Args:
        crowd: the other clients of this worker.
        receiver: what it hears.
        frames: text frames to send first.
        answers: text frames that answer the dialect's questions.
        waits_for_ready: whether a frame says when it is subscribed; otherwise the handshake does.
        publisher: who sends through it; None: nobody.

    Attributes:
        subscribed: done when the present session is in place, or has failed with a WireError or OSError.
    """

    __slots__ = (
        "_answers",
        "_cause",
        "_crowd",
        "_ending",
        "_frames",
        "_rest",
        "_waits_for_ready",
        "publisher",
        "receiver",
        "subscribed",
        "transport",
    )

    def __init__(
        self,
        crowd: Crowd,
        receiver: Receiver,
        frames: list[bytes],
        answers: list[bytes],
        waits_for_ready: bool,
        publisher: Publisher | None = None,
    ) -> None:
        self.receiver = receiver
        self.publisher = publisher
        self.transport: asyncio.Transport | None = None
        self.subscribed: asyncio.Future[None] | None = None
        self._crowd = crowd
        self._frames = frames
        self._answers = answers
        self._waits_for_ready = waits_for_ready
        self._rest = b""
        self._cause = ""
        self._ending = False

    def opened(self, transport: asyncio.Transport, data: bytes) -> None:
        """Begin a session after the opening handshake; data came behind it."""
        self.transport = transport
        self._rest, self._cause, self._ending = b"", "", False
        for frame in self._frames:
            transport.write(client_frame(TEXT, frame))
        if not self._waits_for_ready:
            self._join()
        if data:
            self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Check what came. This is the hot path: nearly always all of it is known already."""
        now = _clock()
        crowd = self._crowd
        crowd.bytes_received += len(data)
        if self._rest:
            data = self._rest + data
        reader = crowd.reader
        # Most clients get what the one before got: comparing is cheaper than a look-up, which takes a hash.
        reading = reader.latest if data == reader.latest_data else reader.recall(data)
        self._rest = reading.rest
        receiver = self.receiver
        if not receiver.excused:
            reading.times.append(now)
            expected = receiver.expected
            for publisher, first, last in reading.runs:
                if expected.get(publisher) == first:
                    expected[publisher] = last + 1
                else:
                    crowd.checker.hear(receiver, publisher, first, last, now - crowd.epoch)
        if reading.events:
            for event in reading.events:
                self._meet(event, now)
        if reader.full:
            crowd.collect()

    def connection_lost(self, error: Exception | None) -> None:
        """End the session."""
        self.transport = None
        if self.publisher is not None:
            self.publisher.transport = None
        joined = not self.receiver.away
        if joined:
            self.receiver.leave()
        cause = self._cause or ("reset" if isinstance(error, ConnectionError) else "closed without a close frame")
        if self.subscribed is not None and not self.subscribed.done():
            self.subscribed.set_exception(WireError(cause))
        elif joined:
            self._crowd.left(self, "" if self._ending else cause)

    def pause_writing(self) -> None:
        """Wait: the server takes no more."""
        if self.publisher is not None:
            self.publisher.transport = None

    def resume_writing(self) -> None:
        """Go on: the server takes more."""
        if self.publisher is not None and self.transport is not None:
            self.publisher.transport = self.transport
            self.publisher.pay()

    def close(self) -> None:
        """End the session politely: with a close frame; the server has to end the connection."""
        if self.transport is not None and not self._ending:
            self._ending = True
            self.transport.write(client_frame(CLOSE, (1000).to_bytes(2, "big")))

    def cut(self) -> None:
        """End the session at once, by a reset: no port is left waiting. Another one may begin right after it."""
        if self.transport is None:
            return
        self._ending = True
        sock: socket.socket | None = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        # Nothing of this session may reach the next one.
        self.transport.set_protocol(_NOBODY)
        self.transport.abort()
        self.connection_lost(None)

    def stop_reading(self) -> None:
        """Play a client that has stopped reading; nothing is expected of it any more."""
        if self.transport is not None:
            self.receiver.excused = True
            self.transport.pause_reading()

    def read_on(self) -> None:
        """Read again, to learn how the connection has ended."""
        if self.transport is not None:
            self.transport.resume_reading()

    def _join(self) -> None:
        self.receiver.join(_clock() - self._crowd.epoch)
        if self.publisher is not None:
            self.publisher.transport = self.transport
            self.publisher.pay()
        if self.subscribed is not None and not self.subscribed.done():
            self.subscribed.set_result(None)
        self._crowd.joined(self)

    def _hang_up(self, reply: bytes) -> None:
        """End the session that the server has closed, whether or not it ends the connection, too."""
        assert self.transport is not None
        self.transport.write(reply)
        self.transport.set_protocol(_NOBODY)
        self.transport.close()
        self.connection_lost(None)

    def _meet(self, event: Event, now: int) -> None:
        """Answer one event."""
        if self.transport is None:
            return
        match event:
            case Ping(payload):
                self._crowd.pings += 1
                self.transport.write(client_frame(PONG, payload))
                if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
                    self._cause = "flood of pings without reading the pongs"
                    self.transport.abort()
            case Answer(number):
                self.transport.write(client_frame(TEXT, self._answers[number]))
            case Ready():
                if self.receiver.away:
                    self._join()
            case Strange(fault, text):
                self._crowd.checker.note(fault, self.receiver, now - self._crowd.epoch, text=text)
            case Close(code, reason):
                self._cause = f"{code} {reason}".rstrip()
                if not self._ending:
                    self._hang_up(client_frame(CLOSE, code.to_bytes(2, "big") if code != 1005 else b""))
            case Broken(reason):
                self._cause = f"protocol error: {reason}"
                self.transport.abort()


class Opening(asyncio.Protocol):
    """The opening handshake of one session; hands the connection over to its client.

    Args:
        client: whose session it is.
        request: head of the opening request.
        key: that it contains.
    """

    __slots__ = ("_client", "_data", "_key", "_request", "_transport")

    def __init__(self, client: Client, request: bytes, key: bytes) -> None:
        self._client = client
        self._request = request
        self._key = key
        self._data = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        # uvloop's transports don't inherit from asyncio's.
        transport = self._transport = cast(asyncio.Transport, transport)
        # Tell at once when the socket is full: a message counts as sent when the system has it.
        transport.set_write_buffer_limits(high=0)
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Read the answer."""
        assert self._transport is not None
        self._data += data
        head, end, rest = self._data.partition(b"\r\n\r\n")
        try:
            if end:
                check_opening(head, self._key)
                self._transport.set_protocol(self._client)
                self._client.opened(self._transport, rest)
            elif len(head) > MAX_HEAD_BYTES:
                raise WireError("endless answer to the handshake")
        except WireError as error:
            self._fail(error)
            self._transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """Give up."""
        self._fail(error or WireError("closed in the handshake"))

    def abandon(self) -> None:
        """Give up a handshake that takes too long; nothing happens when it is over."""
        if self._transport is not None:
            self._transport.abort()

    def _fail(self, error: Exception) -> None:
        if self._client.subscribed is not None and not self._client.subscribed.done():
            self._client.subscribed.set_exception(error)
