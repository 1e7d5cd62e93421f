"""A virtual client: one connection of the load test over all its sessions. Each session begins after its handshake."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from typing import Final, Protocol

from relay.loadtest.generator.chunk import (
    AnswerNeeded,
    Close,
    Event,
    FaultyFrame,
    Ping,
    ProtocolViolation,
    Ready,
)
from relay.loadtest.generator.chunk_decoder import ChunkDecoder
from relay.loadtest.generator.delivery_checker import DeliveryChecker, Receiver
from relay.loadtest.generator.frame_codec import CLOSE, PONG, TEXT, RemoteProtocolError, client_frame
from relay.loadtest.generator.load_publisher import LoadPublisher

MAX_UNREAD_BYTES: Final = 1 << 20
"""Pongs that a server may leave unread. A server that leaves more is flooding: it would only fill our memory."""

_NO_LINGER: Final = struct.pack("ii", 1, 0)
_DETACHED: Final = asyncio.Protocol()
_clock = time.monotonic_ns


class ClientContext(Protocol):
    """What the clients of a worker share: decoder, checker, counters, and the callbacks for their sessions."""

    decoder: ChunkDecoder
    checker: DeliveryChecker
    epoch: int
    bytes_received: int
    pings: int

    def joined(self, client: VirtualClient) -> None:
        """Count a client that has been subscribed."""

    def left(self, client: VirtualClient, reason: str) -> None:
        """Count a session that has ended; an empty reason: the client ended it."""

    def collect(self) -> None:
        """Count the latencies of all chunks received so far."""


class VirtualClient(asyncio.Protocol):
    """One client. `reset` and `close` end a session; a `Connector` begins the next one.

    Args:
        context: what it shares with the other clients of its worker.
        receiver: record of its deliveries.
        frames: text frames to send first.
        answers: text frames that answer the dialect's answer patterns, in their order.
        waits_for_ready: whether a frame confirms the subscription; otherwise the handshake does.
        publisher: publisher that sends through this connection; None: the client only listens.

    Attributes:
        subscribed: future of a session that begins: done when it is subscribed, or has failed with a
            RemoteProtocolError or OSError.
    """

    __slots__ = (
        "_answers",
        "_cause",
        "_context",
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
        context: ClientContext,
        receiver: Receiver,
        frames: list[bytes],
        answers: list[bytes],
        waits_for_ready: bool,
        publisher: LoadPublisher | None = None,
    ) -> None:
        self.receiver = receiver
        self.publisher = publisher
        self.transport: asyncio.Transport | None = None
        self.subscribed: asyncio.Future[None] | None = None
        self._context = context
        self._frames = frames
        self._answers = answers
        self._waits_for_ready = waits_for_ready
        self._rest = b""
        self._cause = ""
        self._ending = False

    def opened(self, transport: asyncio.Transport, data: bytes) -> None:
        """Begin a session after the opening handshake; `data` came behind the handshake's response."""
        self.transport = transport
        self._rest, self._cause, self._ending = b"", "", False
        for frame in self._frames:
            transport.write(client_frame(TEXT, frame))
        if not self._waits_for_ready:
            self._join()
        if data:
            self.data_received(data)

    def data_received(self, data: bytes) -> None:
        """Check a chunk. This is the hot path: nearly every chunk has been decoded before, for another client."""
        now = _clock()
        context = self._context
        context.bytes_received += len(data)
        if self._rest:
            data = self._rest + data
        decoder = context.decoder
        # Most clients get what the one before got: comparing is cheaper than a look-up, which takes a hash.
        chunk = decoder.latest if data == decoder.latest_data else decoder.recall(data)
        self._rest = chunk.rest
        receiver = self.receiver
        if not receiver.exempt:
            chunk.times.append(now)
            expected = receiver.expected
            for publisher, first, last in chunk.runs:
                if expected.get(publisher) == first:
                    expected[publisher] = last + 1
                else:
                    context.checker.receive(receiver, publisher, first, last, now - context.epoch)
        if chunk.events:
            for event in chunk.events:
                self._handle(event, now)
        if decoder.full:
            context.collect()

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
            self.subscribed.set_exception(RemoteProtocolError(cause))
        elif joined:
            self._context.left(self, "" if self._ending else cause)

    def pause_writing(self) -> None:
        """Hold the publisher back: the socket is full."""
        if self.publisher is not None:
            self.publisher.transport = None

    def resume_writing(self) -> None:
        """Send the publisher's backlog: the socket takes data again."""
        if self.publisher is not None and self.transport is not None:
            self.publisher.transport = self.transport
            self.publisher.send_due()

    def close(self) -> None:
        """Send a close frame; the server has to end the connection."""
        if self.transport is not None and not self._ending:
            self._ending = True
            self.transport.write(client_frame(CLOSE, (1000).to_bytes(2, "big")))

    def reset(self) -> None:
        """End the session at once, by a TCP reset: no port stays in TIME_WAIT. The next one may begin right away."""
        if self.transport is None:
            return
        self._ending = True
        sock: socket.socket | None = self.transport.get_extra_info("socket")
        if sock is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        # Nothing of this session may reach the next one.
        self.transport.set_protocol(_DETACHED)
        self.transport.abort()
        self.connection_lost(None)

    def stop_reading(self) -> None:
        """Play a client that stops reading; it is exempt from all further checks."""
        if self.transport is not None:
            self.receiver.exempt = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Read again, to learn how the connection has ended."""
        if self.transport is not None:
            self.transport.resume_reading()

    def _join(self) -> None:
        """Count as subscribed from now on."""
        self.receiver.join(_clock() - self._context.epoch)
        if self.publisher is not None:
            self.publisher.transport = self.transport
            self.publisher.send_due()
        if self.subscribed is not None and not self.subscribed.done():
            self.subscribed.set_result(None)
        self._context.joined(self)

    def _answer_close(self, reply: bytes) -> None:
        """Answer the server's close frame and end the session, whether or not the server ends the connection."""
        assert self.transport is not None
        self.transport.write(reply)
        self.transport.set_protocol(_DETACHED)
        self.transport.close()
        self.connection_lost(None)

    def _handle(self, event: Event, now: int) -> None:
        if self.transport is None:
            return
        match event:
            case Ping(payload):
                self._context.pings += 1
                self.transport.write(client_frame(PONG, payload))
                if self.transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
                    self._cause = "flood of pings without reading the pongs"
                    self.transport.abort()
            case AnswerNeeded(number):
                self.transport.write(client_frame(TEXT, self._answers[number]))
            case Ready():
                if self.receiver.away:
                    self._join()
            case FaultyFrame(fault, text):
                self._context.checker.record_fault(fault, self.receiver, now - self._context.epoch, text=text)
            case Close(code, reason):
                self._cause = f"{code} {reason}".rstrip()
                if not self._ending:
                    self._answer_close(client_frame(CLOSE, code.to_bytes(2, "big") if code != 1005 else b""))
            case ProtocolViolation(reason):
                self._cause = f"protocol error: {reason}"
                self.transport.abort()
