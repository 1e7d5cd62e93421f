"""From a fresh socket to a WebSocket, to the HTTP handler, or to a refusal."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from relay.auth.identity import Identity, identify
from relay.auth.request import parse_request
from relay.errors import Refused
from relay.gateway.connection import Connection
from relay.gateway.context import Context, websockets_logger
from relay.logs import Logger
from relay.node import Interest
from relay.protocols import plain

FULL = "this gateway is full"
SHUTTING_DOWN = "this gateway is shutting down"
UNACKNOWLEDGED = "the bus did not acknowledge the subscription in time"
REFUSED_BY_BUS = "the bus refused the subscription"

MAX_EARLY_BYTES = 64 * 1024
"""What a client may send before its handshake is complete; more waits in the socket."""

EXPIRE_SECONDS = 0.25
"""How often deadlines are checked."""

LINGER_SECONDS = 2.0
"""How long a refused client may take to read its answer and close."""

_UNAVAILABLE = {FULL: "full", SHUTTING_DOWN: "draining", UNACKNOWLEDGED: "bus_timeout", REFUSED_BY_BUS: "bus_refused"}
"""How refusals with 503 are counted; all others by the words for their status."""

_UPGRADE = re.compile(rb"\r\nupgrade:[ \t]*websocket[ \t]*\r\n", re.IGNORECASE)

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

    __slots__ = ("_answered", "_asked_at", "_buffer", "_context", "_interest", "_transport", "_waiting", "peer")

    def __init__(self, context: Context, peer: str) -> None:
        self._context = context
        self.peer = peer
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
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
            head = bytes(buffer[: end + 4])
            del buffer[: end + 4]
            self._upgrade(head)
        else:
            self._hand_to_http(bytes(buffer))

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

    def _upgrade(self, head: bytes) -> None:
        """Check a WebSocket handshake, and ask the bus for its channel."""
        assert self._transport is not None
        self._asked_at = time.perf_counter()
        ws = ServerProtocol(logger=websockets_logger)
        ws.receive_data(head)
        ws.parser.close()
        events = ws.events_received()
        if not events:
            self._refuse(400, str(ws.handshake_exc))
            return
        request = events[0]
        assert isinstance(request, Request)
        response = ws.accept(request)
        if response.status_code != 101:
            response.headers["Sec-WebSocket-Version"] = "13"  # RFC 6455, section 4.4
            self._answer(response, _words(response.status_code))
            return
        headers = request.headers
        chains = headers.get_all("X-Forwarded-For"), headers.get_all("Forwarded")
        remote = self._context.proxies.client_address(self.peer, *chains)
        try:
            asked = parse_request(request.path, headers, remote)
            session = plain.open_session(asked, self._context.settings.default_channel)
            identity = identify(asked)
            if self._context.draining:
                raise Refused(503, SHUTTING_DOWN)
            if self._context.full:
                raise Refused(503, FULL)
        except Refused as refused:
            log.debug("refused", path=request.path, remote=remote, status=refused.status, reason=refused.reason)
            self._refuse(refused.status, refused.reason)
            return
        self._interest, acknowledged = self._context.node.claim(session.channel)
        if acknowledged.done():
            self._acknowledge(acknowledged, session, identity, remote, response)
        else:
            # Soon enough for a client to be told: many give up after ten seconds.
            context = self._context
            deadline = context.loop.time() + context.settings.broker_timeout
            context.handshakes[self] = min(context.handshakes[self], deadline)
            self._waiting = (acknowledged, lambda f: self._acknowledge(f, session, identity, remote, response))
            acknowledged.add_done_callback(self._waiting[1])

    def _acknowledge(
        self,
        acknowledged: asyncio.Future[None],
        session: plain.PlainSession,
        identity: Identity,
        remote: str,
        response: Response,
    ) -> None:
        """Complete the handshake, now that the bus has answered."""
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
        connection = Connection(self._context, session, identity, interest)
        # uvloop takes up the new protocol's way of reading when reading is resumed.
        transport.pause_reading()
        transport.set_protocol(connection)
        connection.open(transport, response.serialize(), bytes(self._buffer))
        self._context.counters.handshakes.observe(time.perf_counter() - self._asked_at)
        log.debug("connected", channel=session.channel, user=identity.user, client=connection.id.hex(), remote=remote)

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

    def _refuse(self, status: int, reason: str) -> None:
        """Answer with an HTTP error that says why."""
        body = f"{reason}\n".encode()
        headers = Headers()
        headers["Connection"] = "close"
        headers["Content-Type"] = "text/plain; charset=utf-8"
        headers["Content-Length"] = str(len(body))
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            # Spread, so that those who were refused together don't come back together.
            headers["Retry-After"] = str(random.randint(1, 5))
        self._answer(
            Response(status, HTTPStatus(status).phrase, headers, body), _UNAVAILABLE.get(reason, _words(status))
        )

    def _answer(self, response: Response, reason: str) -> None:
        context = self._context
        assert self._transport is not None
        context.counters.connections_refused[reason] += 1
        self._answered = True
        self._release()
        self._transport.write(response.serialize())
        # Half-close, and read on until the client has closed: a reset would take the answer with it.
        if self._transport.can_write_eof():
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


def _words(status: int) -> str:
    """Return the words for an HTTP status as counters have them, such as `bad_request`."""
    return HTTPStatus(status).phrase.lower().replace(" ", "_")


async def expire_handshakes(context: Context) -> None:
    """End the handshakes and HTTP requests whose deadline has passed, again and again, until cancelled."""
    while True:
        await asyncio.sleep(EXPIRE_SECONDS)
        now = context.loop.time()
        for handshake, deadline in list(context.handshakes.items()):
            if deadline <= now:
                handshake.expire()
        context.deadlines.expire(context.http.connections, now)
