"""One socket, as long as it speaks HTTP: its requests, one after the other, each judged by its own head.

aiohttp answers them, but it gets nothing except the request that it has to answer. What comes behind waits here: a
client that sends more than it may can neither pile up errors nor pass off the rest of one request as another, and
what a connection becomes next doesn't depend on what it was.
"""

from __future__ import annotations

from aiohttp.web import RequestHandler

from relay.errors import Refused
from relay.protocols.http_body import Body, body_of
from relay.protocols.http_error import TLS_ALERT, TLS_HANDSHAKE
from relay.protocols.http_request import RequestHead, find_head, read_head
from relay.web.http_port import HttpPort
from relay.web.http_socket import REQUEST_SECONDS, HttpSocket, Stage
from relay.web.http_transport import HttpTransport


class HttpConnection(HttpSocket):
    """A socket that speaks HTTP/1.1 and stays with aiohttp.

    Args:
        port: that it came to.
        peer: address of the client, or of the proxy that speaks for it in its headers; None: the socket's.
    """

    __slots__ = ("_answer", "_answered", "_body", "_due", "_ends_at", "_greeted", "_handler")

    def __init__(self, port: HttpPort, peer: str | None = None) -> None:
        super().__init__(port, peer)
        # Whether the first bytes of the connection were seen.
        self._greeted = False
        # aiohttp's part, from the first request that is its own: what answers, what it writes to, and what it has of
        # the present request.
        self._handler: RequestHandler | None = None
        self._answer: HttpTransport | None = None
        self._body: Body | None = None
        self._answered = False
        # Whether its next turn is scheduled, and what has come waits for that.
        self._due = False
        self._ends_at = 0.0

    @property
    def in_handshake(self) -> bool:
        """See `Expiring`."""
        return self._handler is None

    @property
    def _answering(self) -> bool:
        """See `HttpSocket`."""
        return self._answer is not None and self._answer.began

    # What the event loop calls.

    def data_received(self, data: bytes) -> None:
        """Take what has come; called by the event loop."""
        if self._stage is not Stage.ENDING:
            self._buffer += data
            self._process()

    def eof_received(self) -> bool:
        """Answer a client that has closed its side, if its request came whole; called by the event loop."""
        self._eof = True
        self._process()
        if self._answer is not None:
            self._answer.half_closed = True
        return self._stage in (Stage.BODY, Stage.ANSWER)

    def pause_writing(self) -> None:
        """Let aiohttp wait; called by the transport when it is full."""
        if self._stage is Stage.ANSWER:
            self._port.connections.mark_unread(self)
        if self._handler is not None:
            self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Let aiohttp write again; called by the transport."""
        if self._stage is Stage.ANSWER:
            self._port.connections.mark_busy(self, self._ends_at)
        if self._handler is not None:
            self._handler.resume_writing()

    # What aiohttp calls, by `HttpTransport`.

    def hold_body(self) -> None:
        """Hand on no more of a body for now; see `Owner`."""
        self._held = True
        self._update_reading()

    def release_body(self) -> None:
        """Hand on more of it; see `Owner`."""
        if self._held:
            self._held = False
            self._port.loop.call_soon(self._process)

    def answered(self, keep: bool) -> None:
        """Go on with the next request, if there may be one; see `Owner`."""
        if not keep or self._held or (self._eof and not self._buffer):
            self._end()
        elif self._stage is Stage.BODY:
            self._answered = True  # aiohttp reads the rest, for a while
        else:
            self._await_request()

    def handler_closed(self) -> None:
        """End after an error of aiohttp's; see `Owner`."""
        self._end()

    # The way of a request.

    def _process(self) -> None:
        """Do what can be done with what has come."""
        more = True
        while more and self._buffer and not self._due:
            if self._stage is Stage.HEAD:
                more = self._read_head()
            elif self._stage is Stage.BODY:
                more = self._pass_body()
            else:
                break
        if self._eof and not self._held and not self._due:
            if self._stage is Stage.BODY or (self._stage is Stage.HEAD and self._buffer):
                self._refuse(Refused(400, "the request has no end"))
            elif self._stage is Stage.HEAD:
                self._end()
        self._update_reading()

    def _read_head(self) -> bool:
        """Read a head, and begin with the request; return whether it was there in full."""
        buffer, port = self._buffer, self._port
        if not self._greeted:
            if len(buffer) == 1 and TLS_HANDSHAKE.startswith(buffer):
                return False
            self._greeted = True
            if buffer.startswith(TLS_HANDSHAKE):
                port.note_tls(self.peer)
                self._write_last(TLS_ALERT)
                return False
        if buffer.startswith((b"\r", b"\n")):
            # Empty lines before a request mean nothing (RFC 9112, section 2.2).
            buffer[:] = buffer.lstrip(b"\r\n")
        try:
            size = find_head(buffer, port.max_header_bytes)
            if size is None:
                self._await_rest()
                return False
            head = read_head(bytes(buffer[:size]), port.max_headers)
        except Refused as refused:
            self._refuse(refused)
            return False
        del buffer[:size]
        self._route(head)
        return True

    def _await_rest(self) -> None:
        """Give a request time that has begun to come."""
        if not self._begun:
            self._begun = True
            if self._handler is not None:  # else the clock runs since the connection was made
                port = self._port
                port.connections.mark_receiving(self, port.loop.time() + port.head_seconds)

    def _route(self, head: RequestHead) -> None:
        """Decide who answers a request; `_pass_to_aiohttp` is aiohttp's way."""
        self._pass_to_aiohttp(head)

    def _pass_to_aiohttp(self, head: RequestHead) -> None:
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
        self._ends_at = port.loop.time() + REQUEST_SECONDS
        self._pass_body(head.raw)
        if self._stage is Stage.BODY:
            port.connections.mark_receiving(self, self._ends_at)

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
            self._refuse(refused)
            return False
        if body.complete:
            self._stage, self._body = Stage.ANSWER, None
            self._port.connections.mark_busy(self, self._ends_at)
        if head or piece:
            handler.data_received(head + piece)
        if body.complete:
            if self._answered:
                self._await_request()
            return True
        progress = len(self._buffer) < before
        if self._buffer and progress:
            # Many small chunks: others have their turn.
            self._due = True
            self._port.loop.call_soon(self._take_turn)
            return False
        return progress

    def _take_turn(self) -> None:
        """Go on after others had their turn."""
        self._due = False
        self._process()

    def _await_request(self) -> None:
        """Be ready for the next request; the last one is answered."""
        self._stage = Stage.HEAD
        self._begun = False
        if self._answer is not None:
            self._answer.began = False
        self._port.connections.mark_idle(self, self._port.loop.time() + self._port.idle_seconds)
        if self._buffer or self._eof:
            self._port.loop.call_soon(self._process)

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
