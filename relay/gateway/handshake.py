"""The handshake: what becomes of a socket, request by request.

request                            what becomes of the socket
any, while sockets run short       503, unless it is a probe
of a client, while too many come   503
Upgrade: websocket                 a WebSocket, when the admission lets the client in
GET /sse/...                       an event stream, when the admission lets the client in
GET, POST /connection/...          a stream of several channels, likewise; the body is read before
any other                          it stays with aiohttp, and waits for the next request

while the admission waits          what happens
the client leaves                  the admission is cancelled, and gives back its claim on the channel
the gateway drains                 503, so that the client goes to another gateway
the authenticator, or the bus,     503, by the admission itself
takes too long
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Generator, Mapping
from functools import partial

from relay.auth.origin import refusal_headers
from relay.clients.client import Client
from relay.clients.eager_task import start_at_once
from relay.clients.session import Session
from relay.errors import Refused, Unavailable
from relay.gateway.admission import Arrival
from relay.gateway.front_door import FrontDoor
from relay.gateway.opening_request import OpeningRequest
from relay.gateway.tls_transport import NO_PROTOCOL
from relay.logs import Logger
from relay.protocols import STREAMS
from relay.protocols.http_request import RequestHead
from relay.protocols.usual_upgrade import UsualUpgrade, read_usual_upgrade
from relay.web.body import BODY_SECONDS
from relay.web.collected_body import CollectedBody
from relay.web.http_connection import HttpConnection
from relay.web.http_transport import CONTINUE
from relay.web.request_stage import Stage

_PROBES = frozenset((b"/healthz", b"/readyz", b"/metrics"))
"""What is answered in a crowd, too: a gateway that seems dead to its supervisor is killed."""

_EVENT_STREAM = re.compile(rb"/sse(?:[/?]|\Z)")

_STREAMS = {(method.encode(), path.encode()) for path, methods in STREAMS.items() for method in methods}

_UNDECIDED = (Stage.HEAD, Stage.COLLECT, Stage.UPGRADE)
"""Stages of a request that may yet make a client of the socket."""

log = Logger("relay.gateway")


class Handshake(HttpConnection):
    """A client's socket, until it is a WebSocket or an event stream; any of its requests can make it one.

    A WebSocket's handshake is answered after the bus has acknowledged the subscription, so that a client that sees
    it complete misses nothing from then on.

    Args:
        front_door: what all sockets of the port share.
        peer: address of the client, or of the proxy that speaks for it in its headers.
    """

    __slots__ = ("_admission", "_collected", "_front_door", "_head", "_refusal_headers")

    def __init__(self, front_door: FrontDoor, peer: str) -> None:
        super().__init__(front_door.http, peer)
        self._front_door = front_door
        # Of a client that waits to be let in.
        self._admission: asyncio.Task[None] | None = None
        # The body of a client's request, while it is coming.
        self._collected: CollectedBody | None = None
        # Of the request that is answered here, if a page may read the answer, and not by aiohttp.
        self._head: bytes | None = None
        self._refusal_headers: Mapping[str, str] = {}

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything; called by the event loop."""
        self._give_up()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes of the client; called by the event loop. Most clients send no more than the usual request."""
        usual = self._read_usual(data) if self._stage is Stage.IDLE and not self._buffer else None
        if usual is None:
            super().data_received(data)
        else:
            self._open_usual(usual, data)

    def _read_usual(self, data: bytes) -> UsualUpgrade | None:
        """Return what has come, if it is the usual request of a WebSocket."""
        return read_usual_upgrade(data, self._port.max_header_bytes, self._port.max_headers)

    def _open_usual(self, usual: UsualUpgrade, data: bytes) -> None:
        """Let a client in that has sent the usual request of a WebSocket, or refuse it as it would be in any form."""
        if self._takes_clients:
            self._greeted = True
            self._open(partial(self._front_door.openings.read_usual_upgrade, usual), data)
        else:
            super().data_received(data)

    @property
    def _takes_clients(self) -> bool:
        """Whether a request may make a client of the socket now."""
        return not self._front_door.crowded

    def expire(self) -> None:
        """End a handshake that has taken too long, or a client that doesn't go on."""
        if self._stage is Stage.UPGRADE:
            # Without an admission it still waits in the queue, behind thousands of others.
            self._refuse(Refused(503, Unavailable.FULL if self._admission is None else Unavailable.BUS_TIMEOUT))
        elif self._stage is Stage.COLLECT:
            self._refuse(Refused(408, f"the body did not arrive within {BODY_SECONDS:g} s"))
        else:
            super().expire()

    def drain(self) -> None:
        """Send a client that is not connected yet to another gateway; see `Expiring`."""
        if self._stage in (Stage.HEAD, Stage.COLLECT, Stage.UPGRADE) or (
            self._stage is Stage.IDLE and self.in_handshake
        ):
            self._refuse(Refused(503, Unavailable.DRAINING))
        elif self._stage is Stage.IDLE:
            self.abort()  # a word that no request asked for could be taken for the answer to the next one

    def _route(self, head: RequestHead) -> None:
        """Decide by a request what becomes of the connection."""
        front_door, self._head = self._front_door, None if head.websocket else head.raw
        if front_door.crowded and head.target.partition(b"?")[0] not in _PROBES:
            self._refuse(Refused(503, Unavailable.FULL))
        elif head.websocket:
            self._open(front_door.openings.read_upgrade, head.raw)
        elif head.method == b"GET" and _EVENT_STREAM.match(head.target):
            self._open(front_door.openings.read_event_stream, head.raw)
        elif (head.method, head.target.partition(b"?")[0]) in _STREAMS:
            if head.method == b"GET":
                self._open(partial(front_door.openings.read_stream, None), head.raw)
            else:
                self._collect(head)
        else:
            self._head = None
            self._pass_to_aiohttp(head)

    def _collect(self, head: RequestHead) -> None:
        """Wait for the body of a client's request: with it, the client says who it is."""
        transport, port = self._transport, self._port
        assert transport is not None
        try:
            body = self._collected = CollectedBody(head, self._front_door.context.max_message_bytes)
        except Refused as refused:
            self._refuse(refused)
            return
        self._stage = Stage.COLLECT
        port.connections.mark_receiving(self, port.loop.time() + BODY_SECONDS)
        if body.complete:
            self._open_collected(body)
        elif body.expects_continue and not self._buffer:
            transport.write(CONTINUE)

    def _collect_body(self) -> bool:
        """Take what has come of a client's body; see `HttpConnection`."""
        body = self._collected
        assert body is not None
        try:
            progress = body.take(self._buffer)
        except Refused as refused:
            self._refuse(refused)
            return False
        if body.complete:
            self._open_collected(body)
        elif progress and self._buffer:
            self._let_others_go_on()
            return False
        return progress

    def _open_collected(self, body: CollectedBody) -> None:
        """Let a client in whose whole request has come."""
        self._collected = None
        port = self._port
        port.connections.mark_busy(self, port.loop.time() + port.head_seconds)
        self._open(partial(self._front_door.openings.read_stream, bytes(body.data)), body.head.raw)

    def _open(self, read: Callable[[bytes, str, str | None], OpeningRequest], head: bytes) -> None:
        """Check a client's request, and let it in: soon, together with others, or when it may."""
        self._stage = Stage.UPGRADE
        self._front_door.handshakes.add(self._steps(read, head, time.perf_counter()))

    def _steps(
        self, read: Callable[[bytes, str, str | None], OpeningRequest], head: bytes, asked_at: float
    ) -> Generator[None]:
        """Read a client's request, ask who it is, and let it in; see `HandshakeQueue`."""
        if self._stage is not Stage.UPGRADE:
            return  # the client has left, or the gateway drains
        assert self._transport is not None
        try:
            opening = read(head, self.peer, self._transport.get_extra_info("certificate_user"))
            self._refusal_headers = opening.headers
            yield
            arrival = self._front_door.admission.begin(opening.request, opening.protocol)
        except Exception as error:  # noqa: BLE001  # it is logged, and must not reach the other handshakes
            self._answer_error(error)
            return
        yield
        self._admission = task = start_at_once(self._admit(opening, arrival, asked_at))
        if task is not None:
            self._front_door.keep(task)
            # The admission has its own limits; this is for a fault in it.
            port = self._port
            port.connections.mark_busy(self, port.loop.time() + self._front_door.admission.longest)

    async def _admit(self, opening: OpeningRequest, arrival: Arrival, asked_at: float) -> None:
        try:
            session = await self._front_door.admission.complete(arrival, opening.protocol)
        except Exception as error:  # noqa: BLE001  # it is logged
            self._admission = None
            self._answer_error(error)
        else:
            self._admission = None
            self._become(opening, session)
            self._port.counters.handshakes.observe(time.perf_counter() - asked_at)

    def _answer_error(self, error: Exception) -> None:
        """Answer a handshake with the error that is being handled: a refusal, or a fault of the relay."""
        if isinstance(error, Refused):
            self._front_door.refused_names.note(error)
            self._refuse(error)
            return
        log.exception("handshake failed", remote=self.peer)
        self._refuse(Refused(500, "the relay could not answer; its log has the reason"))

    def _become(self, opening: OpeningRequest, session: Session) -> None:
        """Hand the socket over to the client."""
        transport = self._transport
        assert transport is not None
        received = bytes(self._buffer)
        # As if the socket had ended: aiohttp must not take what comes now for its own.
        HttpConnection.connection_lost(self, None)
        client: Client | None = None
        try:
            client = opening.client_class(self._front_door.context, session)
            # uvloop takes up the new protocol's way of reading when reading is resumed.
            transport.pause_reading()
            transport.set_protocol(NO_PROTOCOL)
            transport.set_protocol(client)
            client.take_over(transport, opening.response, received)
        except Exception:
            # It may have been answered: no refusal any more.
            log.exception("handshake failed", remote=opening.request.remote)
            if client is not None and client in self._front_door.context.registry:
                client.abort()
                return
            self._front_door.admission.withdraw(session)
            transport.set_protocol(NO_PROTOCOL)
            transport.abort()
            return
        log.debug(
            "connected",
            channel=opening.protocol.channel,
            user=session.user,
            client=session.id.hex(),
            remote=opening.request.remote,
        )

    def _refuse(self, refused: Refused) -> None:
        """Answer with an HTTP error; see `HttpSocket`."""
        self._give_up()
        if self._head is not None and not self._refusal_headers:
            self._refusal_headers = refusal_headers(self._head, self._front_door.allowed_origins)
        # Not the same one: an authenticator may raise it again.
        answer = Refused(refused.status, refused.reason, {**self._refusal_headers, **refused.headers})
        answer.cause = refused.cause
        super()._refuse(answer)

    def _give_up(self) -> None:
        """Let the client in no more."""
        if self._admission is not None:
            task, self._admission = self._admission, None
            task.cancel()
