"""One socket, as long as it speaks HTTP: its requests, one after the other, each judged by its own head.

aiohttp answers them, but it gets nothing except the request that it has to answer. What comes behind waits here: a
client that sends more than it may can neither pile up errors nor pass off the rest of one request as another, and
what a connection becomes next doesn't depend on what it was.
"""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Mapping
from contextlib import suppress
from typing import cast

from aiohttp.web import RequestHandler

from relay.errors import Refused
from relay.logs import Logger
from relay.protocols.http_body import Body, body_of
from relay.protocols.http_refusal import TLS_ALERT, TLS_HANDSHAKE, refusal
from relay.protocols.http_request import RequestHead, find_head, read_head
from relay.refusals import cause
from relay.web.http_port import HttpPort
from relay.web.http_transport import HttpTransport

REQUEST_SECONDS = 30.0
"""For a request from its head to the end of its answer; aiohttp has no such limit."""

LINGER_SECONDS = 2.0
"""How long a client may take to read its last answer and close."""

MAX_HELD_BYTES = 64 * 1024
"""What a client may send behind a request before that is answered; more waits in the socket."""

log = Logger("relay.http")


class Stage(enum.Enum):
    """Where a connection stands with its request."""

    HEAD = enum.auto()  # it has not come, or not whole
    BODY = enum.auto()  # aiohttp has the head, the body is coming
    ANSWER = enum.auto()  # all of it has come; it is being answered
    UPGRADE = enum.auto()  # something else takes the socket over, as soon as it may
    ENDING = enum.auto()  # nothing more is read or written


class HttpConnection(asyncio.Protocol):
    """A socket that speaks HTTP/1.1 and stays with aiohttp.

    Args:
        port: that it came to.
        peer: address of the client, or of the proxy that speaks for it in its headers; None: the socket's.
    """

    __slots__ = (
        "_answer",
        "_answered",
        "_begun",
        "_body",
        "_buffer",
        "_eof",
        "_greeted",
        "_handler",
        "_held",
        "_port",
        "_reading",
        "_stage",
        "_transport",
        "peer",
    )

    def __init__(self, port: HttpPort, peer: str | None = None) -> None:
        self._port = port
        self.peer = peer or ""
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._stage = Stage.HEAD
        # Whether the first bytes of the connection, and of the request that is coming, were seen.
        self._greeted = self._begun = False
        self._eof = False
        self._reading = True
        # aiohttp's part, from the first request that is its own: what answers, what it writes to, and what it has of
        # the present request.
        self._handler: RequestHandler | None = None
        self._answer: HttpTransport | None = None
        self._body: Body | None = None
        self._held = self._answered = False

    @property
    def shaking_hands(self) -> bool:
        """See `Expiring`."""
        return self._handler is None

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock; called by the event loop."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        if not self.peer:
            self.peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._port.connections.wait_for_bytes(self, self._port.loop.time() + self._port.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything; called by the event loop."""
        self._transport = None
        self._stage = Stage.ENDING
        self._buffer.clear()
        self._port.connections.remove(self)
        self._detach(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come; called by the event loop."""
        if self._stage is not Stage.ENDING:
            self._buffer += data
            self._go_on()

    def eof_received(self) -> bool:
        """Answer a client that has closed its side, if its request came whole; called by the event loop."""
        self._eof = True
        self._go_on()
        if self._answer is not None:
            self._answer.half_closed = True
        return self._stage in (Stage.BODY, Stage.ANSWER)

    def pause_writing(self) -> None:
        """Let aiohttp wait; called by the transport when it is full."""
        if self._handler is not None:
            self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Let aiohttp write again; called by the transport."""
        if self._handler is not None:
            self._handler.resume_writing()

    # What aiohttp calls, by `HttpTransport`.

    def hold_body(self) -> None:
        """Hand on no more of a body for now; see `Owner`."""
        self._held = True
        self._read_or_not()

    def release_body(self) -> None:
        """Hand on more of it; see `Owner`."""
        if self._held:
            self._held = False
            self._port.loop.call_soon(self._go_on)

    def answered(self, keep: bool) -> None:
        """Go on with the next request, if there may be one; see `Owner`."""
        if not keep or self._held or (self._eof and not self._buffer):
            self._end()
        elif self._stage is Stage.BODY:
            self._answered = True  # aiohttp reads the rest, for a while
        else:
            self._await_request()

    def give_up(self) -> None:
        """End after an error of aiohttp's; see `Owner`."""
        self._end()

    # What ends it.

    def expire(self) -> None:
        """End a client whose time is over; see `Expiring`."""
        if self._stage is Stage.HEAD and self._begun:
            self._refuse(408, "the request was not complete in time")
        else:
            self.abort()

    def leave(self) -> None:
        """End it if no request of it is being answered; see `Expiring`."""
        if self._stage is Stage.HEAD:
            self.abort()

    def abort(self) -> None:
        """Drop the socket at once, and do nothing more: `_go_on` may be due before the event loop tells of the end."""
        self._stage = Stage.ENDING
        if self._transport is not None:
            self._transport.abort()

    # The way of a request.

    def _go_on(self) -> None:
        """Do what can be done with what has come."""
        more = True
        while more and self._buffer:
            if self._stage is Stage.HEAD:
                more = self._take_head()
            elif self._stage is Stage.BODY:
                more = self._pass_body()
            else:
                break
        if self._eof and not self._held:
            if self._stage is Stage.BODY or (self._stage is Stage.HEAD and self._buffer):
                self._refuse(400, "the request has no end")
            elif self._stage is Stage.HEAD:
                self._end()
        self._read_or_not()

    def _take_head(self) -> bool:
        """Read a head, and begin with the request; return whether it was there in full."""
        buffer, port = self._buffer, self._port
        if not self._greeted:
            if len(buffer) == 1 and TLS_HANDSHAKE.startswith(buffer):
                return False
            self._greeted = True
            if buffer.startswith(TLS_HANDSHAKE):
                port.note_tls(self.peer)
                self._part_with(TLS_ALERT)
                return False
        if not self._begun:
            self._begun = True
            if self._handler is not None:
                port.connections.wait_for_bytes(self, port.loop.time() + port.head_seconds)
        if buffer.startswith((b"\r", b"\n")):
            # Empty lines before a request mean nothing (RFC 9112, section 2.2).
            buffer[:] = buffer.lstrip(b"\r\n")
        try:
            size = find_head(buffer, port.max_header_bytes)
            if size is None:
                return False
            head = read_head(bytes(buffer[:size]), port.max_headers)
        except Refused as refused:
            self._refuse(refused.status, refused.reason, refused.headers)
            return False
        del buffer[:size]
        self._judge(head)
        return True

    def _judge(self, head: RequestHead) -> None:
        """Decide who answers a request; `_pass_on` is aiohttp's way."""
        self._pass_on(head)

    def _pass_on(self, head: RequestHead) -> None:
        """Let aiohttp answer a request."""
        port = self._port
        transport = self._transport
        assert transport is not None
        if self._handler is None or self._answer is None:
            self._answer = HttpTransport(transport, self)
            self._handler = port.server()
            self._handler.connection_made(self._answer)
        self._answered = False
        self._answer.half_closed = self._eof
        self._stage, self._body = Stage.BODY, body_of(head.length)
        port.connections.wait_for_bytes(self, port.loop.time() + REQUEST_SECONDS)
        self._pass_body(head.raw)

    def _pass_body(self, head: bytes = b"") -> bool:
        """Hand on what has come of the body; return whether more can be done at once."""
        body, handler = self._body, self._handler
        assert body is not None
        assert handler is not None
        if self._held:
            return False
        before = len(self._buffer)
        try:
            piece = b"" if body.complete else body.take(self._buffer)
        except Refused as refused:
            self._refuse(refused.status, refused.reason)
            return False
        if body.complete:
            self._stage, self._body = Stage.ANSWER, None
            self._port.connections.work(self, self._port.connections.ends_at(self))
        if head or piece:
            handler.data_received(head + piece)
        if body.complete:
            if self._answered:
                self._await_request()
            return True
        progress = len(self._buffer) < before
        if self._buffer and progress and not self._eof:
            # Many small chunks: others have their turn.
            self._port.loop.call_soon(self._go_on)
            return False
        return progress

    def _await_request(self) -> None:
        """Be ready for the next request; the last one is answered."""
        self._stage = Stage.HEAD
        self._begun = False
        if self._answer is not None:
            self._answer.began = False
        self._port.connections.wait_for_request(self, self._port.loop.time() + self._port.idle_seconds)
        if self._buffer or self._eof:
            self._port.loop.call_soon(self._go_on)

    def _read_or_not(self) -> None:
        """Read from the socket as long as there is room for what comes."""
        reading = not self._held and len(self._buffer) <= MAX_HELD_BYTES
        if reading is not self._reading and self._transport is not None and not self._transport.is_closing():
            self._reading = reading
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    # The end.

    def _refuse(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer with an HTTP error that says why, and end.

        Args:
            status: 4xx or 5xx.
            reason: a sentence.
            headers: further ones.
        """
        log.debug("refused", remote=self.peer, status=status, reason=reason)
        self._port.counters.connections_refused[cause(status, reason)] += 1
        # Nothing may come behind the beginning of another answer.
        begun = self._answer is not None and self._answer.began
        self._part_with(b"" if begun else refusal(status, reason, headers or {}))

    def _end(self) -> None:
        """End the connection after an answer."""
        if self._stage is Stage.ENDING or self._transport is None:
            return
        if self._stage is Stage.ANSWER and not self._buffer and not self._eof:
            self._stage = Stage.ENDING
            self._detach()
            self._transport.close()  # once everything is written; the deadline stays
        else:
            self._part_with(b"")

    def _part_with(self, last: bytes) -> None:
        """Write the last bytes, and read on until the client has closed: a reset would take the answer with it."""
        transport, port = self._transport, self._port
        if transport is None or self._stage is Stage.ENDING:
            return
        self._stage = Stage.ENDING
        self._buffer.clear()
        self._detach()
        if last:
            transport.write(last)
        seconds = REQUEST_SECONDS if transport.get_write_buffer_size() else LINGER_SECONDS
        port.connections.wait_for_bytes(self, port.loop.time() + seconds)
        if self._eof:
            transport.close()
            return
        if transport.can_write_eof():
            with suppress(OSError):  # it has left, and its end was not read yet
                transport.write_eof()
        self._held = False
        self._read_or_not()

    def _detach(self, exc: Exception | None = None) -> None:
        """Tell aiohttp that its connection is gone. What it answers now goes nowhere."""
        handler, self._handler = self._handler, None
        answer, self._answer = self._answer, None
        self._body = None
        if answer is not None:
            answer.owner = None
        if handler is not None:
            # Not at once: before Python 3.12 a new one runs its first step only now, and has to find itself whole.
            self._port.loop.call_soon(handler.connection_lost, exc)
