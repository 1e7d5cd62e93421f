"""The first bytes of a connection on a port with TLS: a TLS handshake, or a plain request that is sent elsewhere.

first byte        what follows
22                a TLS handshake; HTTP and WebSockets are spoken inside
any other         plain HTTP: GET is redirected to https://, all else is refused with a sentence
"""

from __future__ import annotations

import enum
import re
import ssl
import time
from typing import Final

from relay.auth.certificate_user import user_of_certificate
from relay.errors import Refused
from relay.gateway.front_door import FrontDoor
from relay.gateway.handshake import Handshake
from relay.gateway.tls_transport import TlsTransport
from relay.logs import Logger
from relay.protocols.http_request import RequestHead
from relay.tls.client_hello import HANDSHAKE, HelloError, read_client_hello
from relay.tls.failure import Failure, failure_of
from relay.web.request_stage import Stage

HANDSHAKE_FAILURE: Final = bytes((0x15, 3, 3, 0, 2, 2, 40))
"""A fatal alert, for what never gets to OpenSSL."""

_HOST: Final = re.compile(rb"\r\nhost:[ \t]*+([^\r \t]++)[ \t]*+\r", re.IGNORECASE)

log = Logger("relay.gateway")


class _Layer(enum.Enum):
    """What is known of a connection."""

    UNKNOWN = enum.auto()  # nothing has come
    HELLO = enum.auto()  # a part of a ClientHello has come
    HANDSHAKE = enum.auto()  # the TLS handshake is under way
    SETTLED = enum.auto()  # requests come, encrypted or plain


class TlsPhase(Handshake):
    """A handshake that may have one of TLS in front of it; the deadline counts for both together.

    Nothing but bytes is kept of a client until its first message is complete.

    Args:
        front_door: what all sockets of the port share.
        peer: address that has opened the connection.
    """

    __slots__ = ("_begun_at", "_layer", "_tls")

    def __init__(self, front_door: FrontDoor, peer: str) -> None:
        super().__init__(front_door, peer)
        self._layer = _Layer.SETTLED if front_door.tls is None else _Layer.UNKNOWN
        self._tls: ssl.SSLObject | None = None
        self._begun_at = 0.0

    def data_received(self, data: bytes) -> None:
        """Do the TLS handshake first, if it is one; called by the event loop."""
        if self._layer is _Layer.UNKNOWN and data[0] != HANDSHAKE:
            self._layer = _Layer.SETTLED
        if self._layer is _Layer.SETTLED or self._stage is Stage.ENDING:
            super().data_received(data)
            return
        self._buffer += data
        if self._layer is not _Layer.HANDSHAKE:
            self._layer = _Layer.HELLO
            try:
                hello = read_client_hello(self._buffer)
            except HelloError:
                self._fail(Failure.MALFORMED, HANDSHAKE_FAILURE)
                return
            if hello is None:
                return
            if hello.dear:
                self._fail(Failure.CIPHER, HANDSHAKE_FAILURE)
                return
            self._layer, self._begun_at = _Layer.HANDSHAKE, time.perf_counter()
        self._wait_for_turn()

    def eof_received(self) -> bool:
        """Let a client go that has closed its side; called by the event loop."""
        return False if self._securing else super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything; called by the event loop."""
        if self._securing and self._stage is not Stage.ENDING:
            self._count(Failure.DISCONNECTED)
        self._layer, self._tls = _Layer.SETTLED, None
        super().connection_lost(exc)

    def expire(self) -> None:
        """End a handshake that has taken too long; see `Expiring`."""
        if self._securing:
            self._count(Failure.TIMEOUT)
            self.abort()
        else:
            super().expire()

    def drain(self) -> None:
        """Send a client away that is not connected yet; see `Expiring`. Before its handshake nothing can be said."""
        if self._layer is _Layer.SETTLED:
            super().drain()
        else:
            self.abort()

    def go_on(self) -> None:
        """Do the next step of the handshake; see `Handshaking`."""
        shared, raw = self._front_door.tls, self._transport
        if raw is None or shared is None or self._stage is Stage.ENDING:
            return
        tls = self._tls = self._tls or shared.open()
        shared.incoming.write(self._buffer)
        self._buffer.clear()
        failure: Failure | None = None
        complete = False
        try:
            tls.do_handshake()
            complete = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            failure = failure_of(error)
        # All connections share both buffers: they must be empty before anything else runs.
        rest, answer = shared.incoming.read(), shared.outgoing.read()
        if failure is not None:
            raw.resume_reading()  # until the client closes its side
            self._fail(failure, answer)
            return
        if answer:
            raw.write(answer)
        if complete:
            self._settle(tls, rest)
        else:
            raw.resume_reading()

    @property
    def _securing(self) -> bool:
        """Whether a TLS handshake has begun, and is not complete."""
        return self._layer is _Layer.HELLO or self._layer is _Layer.HANDSHAKE

    def _wait_for_turn(self) -> None:
        """Read no more until the next step is done."""
        shared, raw = self._front_door.tls, self._transport
        assert shared is not None
        assert raw is not None
        raw.pause_reading()
        shared.turns.add(self)

    def _settle(self, tls: ssl.SSLObject, rest: bytes) -> None:
        """Put TLS between this and the socket; requests come from now on."""
        shared, raw = self._front_door.tls, self._transport
        assert shared is not None
        assert raw is not None
        self._layer, self._tls = _Layer.SETTLED, None
        certificate = tls.getpeercert()
        user = user_of_certificate(certificate) if certificate else None
        self._port.counters.tls_handshakes.observe(time.perf_counter() - self._begun_at)
        transport = self._transport = TlsTransport(shared, raw, tls, self, rest, user)
        if certificate and user is None:
            self._refuse(Refused(403, "the client certificate names no user: neither a common name nor another name"))
        transport.start()

    def _fail(self, failure: Failure, alert: bytes) -> None:
        """End the connection with an alert."""
        self._count(failure)
        self._layer, self._tls = _Layer.SETTLED, None
        self._write_last(alert)

    def _count(self, failure: Failure) -> None:
        self._port.counters.tls_handshake_failures[failure.value] += 1
        log.debug("TLS handshake failed", remote=self.peer, reason=failure.value)

    @property
    def _unsecured(self) -> bool:
        """Whether it came without TLS to a port that has it."""
        return self._front_door.tls is not None and not isinstance(self._transport, TlsTransport)

    @property
    def _takes_clients(self) -> bool:
        """See `Handshake`."""
        return not self._unsecured and super()._takes_clients

    def _route(self, head: RequestHead) -> None:
        """Refuse a request that came without TLS to a port that has it."""
        if not self._unsecured:
            super()._route(head)
            return
        host = _HOST.search(head.raw)
        scheme = "wss" if head.websocket else "https"
        refused = Refused(400, f"this port speaks TLS: use {scheme}://")
        if head.method in (b"GET", b"HEAD") and not head.websocket and host is not None:
            place = f"https://{host[1].decode('latin-1')}{head.target.decode('latin-1')}"
            refused = Refused(301, "this port speaks TLS: use https://", {"Location": place})
        refused.cause = "plain_http"
        self._refuse(refused)
