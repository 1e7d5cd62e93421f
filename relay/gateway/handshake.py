"""From a request to a WebSocket, to an event stream, to the HTTP handler, or to a refusal."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping

from relay.clients.context import Context
from relay.clients.event_stream import read_event_stream
from relay.errors import Refused
from relay.gateway.guest import Guest
from relay.gateway.upgrade import read_upgrade
from relay.logs import Logger
from relay.node import Interest
from relay.protocols.http_request import RequestHead
from relay.refusals import FULL, REFUSED_BY_BUS, SHUTTING_DOWN, UNACKNOWLEDGED
from relay.web.http_connection import HttpConnection
from relay.web.http_socket import Stage

Reader = Callable[[Context, bytes, str], Guest]
"""Reads the head of a request that came from an address; raises `Refused`."""

_PROBES = frozenset((b"/healthz", b"/readyz", b"/metrics"))
"""What is answered in a crowd, too: a gateway that seems dead to its supervisor is killed."""

_EVENT_STREAM = re.compile(rb"/sse(?:[/?]|\Z)")

log = Logger("relay.gateway")


class Handshake(HttpConnection):
    """A client's socket, until it is a WebSocket or an event stream; any of its requests can make it one.

    A WebSocket's handshake is answered after the bus has acknowledged the subscription, so that a client that sees
    it complete misses nothing from then on.

    Args:
        context: what all connections share.
        peer: address of the client, or of the proxy that speaks for it in its headers.
    """

    __slots__ = ("_asked_at", "_context", "_guest", "_interest", "_waiting")

    def __init__(self, context: Context, peer: str) -> None:
        super().__init__(context.http, peer)
        self._context = context
        # A client that waits for the bus, and its claim on the channel.
        self._guest: Guest | None = None
        self._interest: Interest | None = None
        self._asked_at = 0.0
        # The bus's acknowledgement, and what is called when it comes.
        self._waiting: tuple[asyncio.Future[None], Callable[[asyncio.Future[None]], None]] | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything; called by the event loop."""
        self._release()
        super().connection_lost(exc)

    def expire(self) -> None:
        """End a handshake that has taken too long, or a client that doesn't go on."""
        if self._stage is Stage.UPGRADE:
            self._refuse(503, UNACKNOWLEDGED)
        else:
            super().expire()

    def leave(self) -> None:
        """Send a client that is not connected yet to another gateway; see `Expiring`."""
        if self._stage is Stage.UPGRADE or (self._stage is Stage.HEAD and (self._begun or self.shaking_hands)):
            self._refuse(503, SHUTTING_DOWN)
        elif self._stage is Stage.HEAD:
            self.abort()  # a word that no request asked for could be taken for the answer to the next one

    def _judge(self, head: RequestHead) -> None:
        """Decide by a request what becomes of the connection."""
        if self._context.crowded and head.target.partition(b"?")[0] not in _PROBES:
            self._refuse(503, FULL)
        elif head.websocket:
            self._admit(read_upgrade, head.raw)
        elif head.method == b"GET" and _EVENT_STREAM.match(head.target):
            self._admit(read_event_stream, head.raw)
        else:
            self._pass_on(head)

    def _admit(self, read: Reader, head: bytes) -> None:
        """Check a client's request, and ask the bus for its channel."""
        context = self._context
        self._stage = Stage.UPGRADE
        self._asked_at = time.perf_counter()
        try:
            guest = read(context, head, self.peer)
            if reason := context.refusal_reason():
                raise Refused(503, reason, guest.headers)
        except Refused as refused:
            self._refuse(refused.status, refused.reason, refused.headers)
            return
        self._guest = guest
        self._interest, acknowledged = context.node.claim(guest.channel)
        if acknowledged.done():
            self._acknowledge(acknowledged, guest)
        else:
            # Soon enough for a client to be told: many give up after ten seconds.
            connections = context.http.connections
            settings = context.settings
            patience = min(settings.broker_timeout, settings.handshake_timeout)
            connections.work(self, context.loop.time() + patience)
            self._waiting = (acknowledged, lambda future: self._acknowledge(future, guest))
            acknowledged.add_done_callback(self._waiting[1])

    def _acknowledge(self, acknowledged: asyncio.Future[None], guest: Guest) -> None:
        """Let a client in, now that the bus has answered."""
        transport = self._transport
        if transport is None or self._interest is None or self._stage is not Stage.UPGRADE:
            if not acknowledged.cancelled():
                acknowledged.exception()  # seen: nobody is left to be told
            return
        if acknowledged.cancelled() or acknowledged.exception() is not None:
            self._refuse(503, REFUSED_BY_BUS)
            return
        if not self._context.make_room():
            self._refuse(503, FULL)
            return
        interest, self._interest = self._interest, None
        self._waiting = None
        received = bytes(self._buffer)
        # As if the socket had ended: aiohttp must not take what comes now for its own.
        HttpConnection.connection_lost(self, None)
        member = guest.join(interest)
        # uvloop takes up the new protocol's way of reading when reading is resumed.
        transport.pause_reading()
        transport.set_protocol(member)
        member.open(transport, guest.response, received)
        self._context.counters.handshakes.observe(time.perf_counter() - self._asked_at)
        log.debug(
            "connected",
            channel=member.channel,
            user=member.identity.user,
            client=member.id.hex(),
            remote=guest.remote,
        )

    def _refuse(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        """Answer with an HTTP error; see `HttpConnection`.

        Args:
            status: 4xx or 5xx.
            reason: a sentence.
            headers: further ones; None: what the client's kind of request needs.
        """
        if headers is None and self._guest is not None:
            headers = self._guest.headers
        self._release()
        super()._refuse(status, reason, headers)

    def _release(self) -> None:
        if self._waiting is not None:
            # The future is shared: it must not keep those who have left.
            acknowledged, callback = self._waiting
            acknowledged.remove_done_callback(callback)
            self._waiting = None
        if self._interest is not None:
            interest, self._interest = self._interest, None
            self._context.node.release(interest)
