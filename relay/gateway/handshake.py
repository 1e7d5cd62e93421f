"""From a fresh socket to a WebSocket, to an event stream, to the HTTP handler, or to a refusal."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import cast

from relay.errors import Refused
from relay.gateway.context import Context
from relay.gateway.event_stream import read_event_stream
from relay.gateway.guest import Guest
from relay.gateway.refusal import refusal
from relay.gateway.upgrade import read_upgrade
from relay.logs import Logger
from relay.node import Interest
from relay.refusals import FULL, REFUSED_BY_BUS, SHUTTING_DOWN, UNACKNOWLEDGED, cause

Reader = Callable[[Context, bytes, str], Guest]
"""Reads the head of a request that came from an address; raises `Refused`."""

MAX_EARLY_BYTES = 64 * 1024
"""What a client may send before its handshake is complete; more waits in the socket."""

LINGER_SECONDS = 2.0
"""How long a refused client may take to read its answer and close."""

_UPGRADE = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)
_EVENT_STREAM = re.compile(rb"GET /sse[/? ]")

log = Logger("relay.gateway")


class Handshake(asyncio.Protocol):
    """The first request on a socket.

    It reads the head only, within a deadline and limits of size and number of headers, and then hands the
    socket on. A WebSocket's handshake is answered after the bus has acknowledged the subscription, so that
    a client that sees it complete misses nothing from then on.

    Args:
        context: what all connections share.
        peer: address of the client, or of the proxy that speaks for it in its headers.
    """

    __slots__ = (
        "_answered",
        "_asked_at",
        "_buffer",
        "_context",
        "_guest",
        "_interest",
        "_transport",
        "_waiting",
        "peer",
    )

    def __init__(self, context: Context, peer: str) -> None:
        self._context = context
        self.peer = peer
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        # A client that waits for the bus, and its claim on the channel.
        self._guest: Guest | None = None
        self._interest: Interest | None = None
        self._answered = False
        self._asked_at = 0.0
        # The bus's acknowledgement, and what is called when it comes.
        self._waiting: tuple[asyncio.Future[None], Callable[[asyncio.Future[None]], None]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock; called by the event loop."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        self._context.handshakes[self] = self._context.loop.time() + self._context.settings.handshake_timeout

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything; called by the event loop."""
        self._transport = None
        self._context.handshakes.pop(self, None)
        self._release()

    def data_received(self, data: bytes) -> None:
        """Collect the head, and decide once it is whole; called by the event loop."""
        buffer = self._buffer
        if self._answered:
            return
        searched = max(0, len(buffer) - 3)
        buffer += data
        if self._interest is not None:
            # Messages before the handshake is complete: the connection will take them.
            if len(buffer) > MAX_EARLY_BYTES and self._transport is not None:
                self._transport.pause_reading()
            return
        if buffer.startswith((b"\r", b"\n")):
            # Empty lines before a request mean nothing (RFC 9112, section 2.2); aiohttp would wait after them for ever.
            buffer[:] = buffer.lstrip(b"\r\n")
            searched = 0
        end = buffer.find(b"\r\n\r\n", searched)
        settings = self._context.settings
        if end > settings.max_header_bytes or (end < 0 and len(buffer) > settings.max_header_bytes):
            self._refuse(431, f"the request head has more than {settings.max_header_bytes} bytes")
        elif end < 0:
            return
        elif buffer.count(b"\r\n", 0, end) > settings.max_headers:
            self._refuse(431, f"the request has more than {settings.max_headers} headers")
        elif _UPGRADE.search(buffer, 0, end + 2):
            self._admit(read_upgrade, self._take_head(end))
        elif _EVENT_STREAM.match(buffer):
            self._admit(read_event_stream, self._take_head(end))
        else:
            self._hand_to_http(bytes(buffer))

    def admit_event_stream(self, head: bytes) -> None:
        """Go on with a head that aiohttp has read already; whatever it is, it must not go back there.

        Args:
            head: of the request, with the empty line.
        """
        self._admit(read_event_stream, head)

    def expire(self) -> None:
        """End a handshake that has taken too long, or a refused client that doesn't leave."""
        if self._interest is not None:
            self._refuse(503, UNACKNOWLEDGED)
        elif self._buffer and not self._answered:
            self._refuse(408, "the request was not complete in time")
        else:
            self.abort()

    def abort(self) -> None:
        """Drop the socket at once."""
        if self._transport is not None:
            self._transport.abort()

    def refuse_for_drain(self) -> None:
        """Send a client that is not connected yet to another gateway."""
        if not self._answered:
            self._refuse(503, SHUTTING_DOWN)

    def _take_head(self, end: int) -> bytes:
        """Take the request out of what was received; the rest is for whoever takes over the socket."""
        head = bytes(self._buffer[: end + 4])
        del self._buffer[: end + 4]
        return head

    def _admit(self, read: Reader, head: bytes) -> None:
        """Check a client's request, and ask the bus for its channel."""
        context = self._context
        self._asked_at = time.perf_counter()
        try:
            guest = read(context, head, self.peer)
            if reason := context.closed:
                raise Refused(503, reason, guest.headers)
        except Refused as refused:
            log.debug("refused", remote=self.peer, status=refused.status, reason=refused.reason)
            self._refuse(refused.status, refused.reason, refused.headers)
            return
        self._guest = guest
        self._interest, acknowledged = context.node.claim(guest.channel)
        if acknowledged.done():
            self._acknowledge(acknowledged, guest)
        else:
            # Soon enough for a client to be told: many give up after ten seconds.
            deadline = context.loop.time() + context.settings.broker_timeout
            context.handshakes[self] = min(context.handshakes[self], deadline)
            self._waiting = (acknowledged, lambda future: self._acknowledge(future, guest))
            acknowledged.add_done_callback(self._waiting[1])

    def _acknowledge(self, acknowledged: asyncio.Future[None], guest: Guest) -> None:
        """Let a client in, now that the bus has answered."""
        transport = self._transport
        if transport is None or self._answered or self._interest is None:
            if not acknowledged.cancelled():
                acknowledged.exception()  # seen: nobody is left to be told
            return
        if acknowledged.cancelled() or acknowledged.exception() is not None:
            self._refuse(503, REFUSED_BY_BUS)
            return
        if self._context.full:
            self._refuse(503, FULL)
            return
        interest, self._interest = self._interest, None
        self._waiting = None
        self._context.handshakes.pop(self, None)
        self._transport = None
        member = guest.join(interest)
        # uvloop takes up the new protocol's way of reading when reading is resumed.
        transport.pause_reading()
        transport.set_protocol(member)
        member.open(transport, guest.response, bytes(self._buffer))
        self._context.counters.handshakes.observe(time.perf_counter() - self._asked_at)
        log.debug(
            "connected",
            channel=member.channel,
            user=member.identity.user,
            client=member.id.hex(),
            remote=guest.remote,
        )

    def _hand_to_http(self, received: bytes) -> None:
        """Let aiohttp go on, as if it had accepted the socket itself."""
        transport = self._transport
        assert transport is not None
        self._transport = None
        self._context.handshakes.pop(self, None)
        self._context.sources[transport] = self.peer
        handler = self._context.http()
        self._context.deadlines.add(handler, transport, self._context.loop.time())
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(received)

    def _refuse(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer with an HTTP error that says why.

        Args:
            status: 4xx or 5xx.
            reason: a sentence.
            headers: further ones; None: what the client's kind of request needs.
        """
        context = self._context
        assert self._transport is not None
        if headers is None:
            headers = {} if self._guest is None else self._guest.headers
        context.counters.connections_refused[cause(status, reason)] += 1
        self._answered = True
        self._release()
        self._transport.write(refusal(status, reason, headers))
        # Half-close, and read on until the client has closed: a reset would take the answer with it.
        if self._transport.can_write_eof():
            with suppress(OSError):  # it has left, and its end was not read yet
                self._transport.write_eof()
        self._transport.resume_reading()
        context.handshakes[self] = context.loop.time() + LINGER_SECONDS

    def _release(self) -> None:
        self._buffer.clear()
        if self._waiting is not None:
            # The future is shared: it must not keep those who have left.
            acknowledged, callback = self._waiting
            acknowledged.remove_done_callback(callback)
            self._waiting = None
        if self._interest is not None:
            interest, self._interest = self._interest, None
            self._context.node.release(interest)
