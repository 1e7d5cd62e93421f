"""One client that reads a channel as server-sent events.

It is delivered to as a WebSocket is: ready-made bytes straight to the transport, the same limits, no task, timer or
queue of its own. The stream ends with its connection. Chunked coding would add bytes to each event and say nothing
that the end of the connection doesn't, and a proxy that speaks HTTP/1.0 to its servers would not understand it.
"""

from __future__ import annotations

import asyncio
import random
import socket
from email.utils import formatdate

from websockets.datastructures import Headers
from websockets.http11 import Response

from relay.auth.authenticator import Identity, identify
from relay.auth.host import check_host
from relay.auth.origin import cors_headers
from relay.clients.client import Member
from relay.clients.context import Context
from relay.errors import CustomDisconnect, Disconnect, Refused
from relay.gateway.guest import Guest
from relay.gateway.request_head import client_address, only, parse_head
from relay.hub import Encoder
from relay.node import Interest
from relay.protocols import sse
from relay.protocols.request import parse_request

RETRY_MILLISECONDS = (1000, 5000)
"""Bounds of the pause after which a client comes back; each gets another, so that not all come at once."""

MAX_IGNORED_BYTES = 4096
"""What a client may send after its request; it has nothing to say, and a pipelined request would get no answer."""


class EventStream(Member):
    """A client that only listens.

    Args:
        context: what all connections share.
        channel: the channel that it listens to.
        identity: who it is.
        interest: its claim on the channel; released when it leaves.
    """

    __slots__ = ("_code", "_ignored")

    def __init__(self, context: Context, channel: str, identity: Identity, interest: Interest) -> None:
        super().__init__(context, channel, False, identity, interest)
        self._ignored = 0
        # Why it ended, as a WebSocket would be told.
        self._code = 1006

    @property
    def encode(self) -> Encoder:
        """Events; see `Subscriber`."""
        return sse.encode

    def open(self, transport: asyncio.Transport, response: bytes, received: bytes) -> None:
        """Take over a socket; see `Member`."""
        self._join(transport)
        self._context.counters.event_streams_open += 1
        _notice_silence(transport, self._context.settings.write_timeout)
        transport.write(response + sse.retry(random.randint(*RETRY_MILLISECONDS)) + self._context.welcome_event)
        transport.resume_reading()
        self._ignore(len(received))

    def close(self, disconnect: Disconnect | CustomDisconnect) -> None:
        """End the stream; nothing happens when it has ended already."""
        if not self._open:
            return
        if disconnect is Disconnect.SLOW_CONSUMER:
            self._drop_held()
        self._release_held()
        self._context.counters.disconnects[disconnect.name] += 1
        self._code = disconnect.code
        self._leave()
        if self._transport is not None:
            self._transport.write(sse.farewell(disconnect.code, disconnect.reason))
            self._transport.close()  # once everything is written
            self._abort_later()

    # What keepalive calls.

    def ping(self) -> None:
        """Write a heartbeat, unless other data waits."""
        if self._transport is not None and self._held is None:
            self._transport.write(sse.HEARTBEAT)

    def check_heard(self) -> None:
        """Judge nobody: a client of this kind can't answer. Its kernel does; see `_notice_silence`."""

    # What the transport calls.

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the buffer that all connections share."""
        return self._context.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Ignore what a client sends that should only listen."""
        self._ignore(nbytes)

    def eof_received(self) -> bool:
        """Let a client go that has closed its side: HTTP has no other way to say that nobody reads any more."""
        if self._open:
            self._code = 1000
        self.abort()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave everything; called by the event loop."""
        if isinstance(exc, TimeoutError):
            self._context.counters.disconnects["WRITE_TIMEOUT"] += 1
        self._context.counters.event_streams_open -= 1
        self._gone(self._code)

    def _ignore(self, count: int) -> None:
        self._ignored += count
        if self._ignored > MAX_IGNORED_BYTES and self._open:
            self._context.counters.disconnects["UNEXPECTED_DATA"] += 1
            self.abort()


def _notice_silence(transport: asyncio.Transport, seconds: float) -> None:
    """Let the kernel end the connection when what is written stays unacknowledged for so long.

    A client that vanished without a word answers no heartbeat; by default Linux tries for a quarter of an hour.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    accepted = transport.get_extra_info("socket")
    if option is not None and accepted is not None:
        accepted.setsockopt(socket.IPPROTO_TCP, option, max(1, round(seconds * 1000)))


def read_event_stream(context: Context, head: bytes, peer: str) -> Guest:
    """Read the request of a client that wants events.

    Args:
        context: what all connections share.
        head: of the request, with the empty line.
        peer: address of the client, or of the proxy that speaks for it in its headers.

    Raises:
        Refused: with the status that the client should get.
    """
    settings = context.settings
    request = parse_head(head)
    origin, host = (only(request.headers, name) for name in ("Origin", "Host"))
    check_host(host, settings.allowed_hosts)
    cors = cors_headers(origin, host, settings.allowed_origins)
    remote = client_address(request.headers, peer, context.proxies)
    try:
        asked = parse_request(request.path, request.headers, remote)
        channel = sse.open_session(asked, settings.default_channel)
        identity = identify(asked)
    except Refused as refused:
        refused.headers |= cors
        raise
    return Guest(
        channel, remote, _response(cors), cors, lambda interest: EventStream(context, channel, identity, interest)
    )


def _response(cors: dict[str, str]) -> bytes:
    """Return the head of a stream's response."""
    headers = Headers(cors)
    headers["Date"] = formatdate(usegmt=True)
    headers["Server"] = "relay"
    headers["Content-Type"] = "text/event-stream"
    headers["Cache-Control"] = "no-store"
    headers["X-Accel-Buffering"] = "no"  # nginx would collect events
    headers["Connection"] = "close"
    return Response(200, "OK", headers).serialize()
