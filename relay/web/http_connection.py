"""An HTTP connection: its requests, one after the other, each routed by its own head.

aiohttp answers them, but it gets nothing except the request that it has to answer. What comes after it waits here. So
a client that sends more than it may can neither pile up errors, nor smuggle one request in the rest of another, and
what a connection becomes next does not depend on what it was.
"""

from __future__ import annotations

from aiohttp.web import RequestHandler

from relay.errors import Refused
from relay.protocols.http_body import Body, body_of
from relay.protocols.http_error import TLS_ALERT, TLS_HANDSHAKE
from relay.protocols.http_request import RequestHead, find_head, read_head
from relay.web.http_port import HttpPort
from relay.web.http_socket import HttpSocket
from relay.web.http_transport import HttpTransport
from relay.web.request_stage import Stage


class HttpConnection(HttpSocket):
    """A socket that speaks HTTP/1.1, and whose requests aiohttp answers; arguments as for `HttpSocket`."""

    __slots__ = ("_body", "_deadline", "_greeted", "_handler", "_turn_due", "_writer")

    def __init__(self, port: HttpPort, peer: str | None = None) -> None:
        super().__init__(port, peer)
        # Whether the first bytes of the connection were seen.
        self._greeted = False
        # From the first request that aiohttp answers: its handler, what the handler writes to, and what is left of the
        # body of the present request.
        self._handler: RequestHandler | None = None
        self._writer: HttpTransport | None = None
        self._body: Body | None = None
        # Whether the next turn is scheduled, and what has come waits for it.
        self._turn_due = False
        # Of the present request, in loop time.
        self._deadline = 0.0

    @property
    def in_handshake(self) -> bool:
        """See `Expiring`."""
        return self._handler is None

    @property
    def _response_begun(self) -> bool:
        """See `HttpSocket`."""
        return self._writer is not None and self._writer.response_begun

    # What the event loop calls.

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client; called by the event loop."""
        if self._stage is not Stage.ENDING:
            self._buffer += data
            self._process()

    def eof_received(self) -> bool:
        """Answer a client that has closed its side if its request is complete; called by the event loop."""
        self._eof = True
        self._process()
        if self._writer is not None:
            self._writer.half_closed = True
        return self._stage in (Stage.BODY, Stage.REST, Stage.RESPONSE)

    def pause_writing(self) -> None:
        """Make aiohttp wait; called by the transport when its buffer is full."""
        if self._stage is Stage.RESPONSE:
            self._port.connections.mark_unread(self)
        if self._handler is not None:
            self._handler.pause_writing()

    def resume_writing(self) -> None:
        """Let aiohttp write again; called by the transport."""
        if self._stage is Stage.RESPONSE:
            self._port.connections.mark_busy(self, self._deadline)
        if self._handler is not None:
            self._handler.resume_writing()

    # What aiohttp calls, through `HttpTransport`.

    def hold_body(self) -> None:
        """Pass on no more of a body for now; see `Owner`."""
        self._held = True
        self._update_reading()

    def release_body(self) -> None:
        """Pass on more of the body; see `Owner`."""
        if self._held:
            self._held = False
            self._port.loop.call_soon(self._process)

    def response_written(self, keep: bool) -> None:
        """Go on with the next request, if there may be one; see `Owner`."""
        if not keep or self._held or (self._eof and not self._buffer):
            self._end()
        elif self._stage is Stage.BODY:
            self._stage = Stage.REST  # aiohttp reads it for a while, and then closes
        else:
            self._await_request()

    def handler_closed(self) -> None:
        """End the connection; see `Owner`."""
        self._end()

    # The stages of a request.

    def _process(self) -> None:
        """Process what has come, as far as the stage allows."""
        more = True
        while more and self._buffer and not self._turn_due:
            stage = self._stage
            if stage is Stage.IDLE or stage is Stage.HEAD:
                more = self._read_head()
            elif stage is Stage.BODY or stage is Stage.REST:
                more = self._pass_body()
            elif stage is Stage.COLLECT:
                more = self._collect_body()
            else:
                break
        if self._eof and not self._held and not self._turn_due:
            self._process_eof()
        self._update_reading()

    def _process_eof(self) -> None:
        """End a connection on which no further byte can come."""
        stage = self._stage
        if stage is Stage.BODY or stage is Stage.REST or stage is Stage.COLLECT:
            self._refuse(Refused(400, "the request has no end"))
        elif stage is Stage.IDLE or stage is Stage.HEAD:
            if self._buffer:
                self._refuse(Refused(400, "the request has no end"))
            else:
                self._end()

    def _read_head(self) -> bool:
        """Read a head, and route the request; return whether the head was complete."""
        buffer, port = self._buffer, self._port
        if not self._greeted:
            if len(buffer) == 1 and TLS_HANDSHAKE.startswith(buffer):
                return False
            self._greeted = True
            if buffer.startswith(TLS_HANDSHAKE):
                port.refuse_tls(self.peer)
                self._write_last(TLS_ALERT)
                return False
        if buffer.startswith((b"\r", b"\n")):
            # A server should ignore empty lines before a request (RFC 9112, section 2.2).
            buffer[:] = buffer.lstrip(b"\r\n")
        try:
            size = find_head(buffer, port.max_header_bytes)
            if size is None:
                self._await_head()
                return False
            head = read_head(bytes(buffer[:size]), port.max_headers)
        except Refused as refused:
            self._refuse(refused)
            return False
        del buffer[:size]
        self._route(head)
        return True

    def _await_head(self) -> None:
        """Wait for the rest of a head, until the deadline."""
        if self._stage is Stage.IDLE:
            self._stage = Stage.HEAD
            if self._handler is not None:  # else the deadline was set when the connection was made
                port = self._port
                port.connections.mark_receiving(self, port.loop.time() + port.head_seconds)

    def _route(self, head: RequestHead) -> None:
        """Decide by a head who answers the request; here it is always aiohttp."""
        self._pass_to_aiohttp(head)

    def _pass_to_aiohttp(self, head: RequestHead) -> None:
        """Let aiohttp answer a request."""
        port = self._port
        transport = self._transport
        assert transport is not None
        if self._handler is None or self._writer is None:
            self._writer = HttpTransport(transport, self)
            self._handler = port.server()
            self._handler.connection_made(self._writer)
        self._writer.half_closed = self._eof
        self._stage, self._body = Stage.BODY, body_of(head.length)
        self._deadline = port.loop.time() + port.request_seconds
        self._pass_body(head.raw)
        if self._stage is Stage.BODY:
            port.connections.mark_receiving(self, self._deadline)

    def _pass_body(self, head: bytes = b"") -> bool:
        """Pass on what has come of the body; return whether more can be done in this turn."""
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
        answered = self._stage is Stage.REST
        if body.complete:
            self._body = None
            if not answered:
                self._stage = Stage.RESPONSE
            self._port.connections.mark_busy(self, self._deadline)
        if head or piece:
            handler.data_received(head + piece)
        if body.complete:
            if answered:
                self._await_request()
            return True
        progress = len(self._buffer) < before
        if self._buffer and progress:
            self._let_others_go_on()
            return False
        return progress

    def _collect_body(self) -> bool:
        """Take what has come of a body that aiohttp doesn't get; here there is none."""
        return False

    def _let_others_go_on(self) -> None:
        """Let other connections have their turn: there are many small chunks."""
        self._turn_due = True
        self._port.loop.call_soon(self._take_turn)

    def _take_turn(self) -> None:
        """Go on after other connections had their turn."""
        self._turn_due = False
        self._process()

    def _await_request(self) -> None:
        """Wait for the next request: the last one is answered."""
        self._stage = Stage.IDLE
        if self._writer is not None:
            self._writer.response_begun = False
        self._port.connections.mark_idle(self, self._port.loop.time() + self._port.idle_seconds)
        if self._buffer or self._eof:
            self._port.loop.call_soon(self._process)

    def _detach(self, exc: Exception | None = None) -> None:
        """Tell aiohttp that the connection is lost. What it writes from now on is dropped."""
        handler, self._handler = self._handler, None
        writer, self._writer = self._writer, None
        self._body = None
        if writer is not None:
            writer.lose()
        if handler is not None:
            # In the next turn: before Python 3.12 the task of a new handler has not run yet, and expects its transport.
            self._port.loop.call_soon(handler.connection_lost, exc)
