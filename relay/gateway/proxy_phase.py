"""The very first bytes of a connection: perhaps a load balancer's PROXY header, then TLS or the first request."""

from __future__ import annotations

import asyncio
import socket

from relay.errors import Refused
from relay.gateway.front_door import FrontDoor
from relay.gateway.tls_phase import TlsPhase
from relay.protocols.usual_upgrade import UsualUpgrade
from relay.proxies.proxy_header import NO_HEADER, may_begin_header, read_proxy_header
from relay.web.request_stage import Stage


class ProxyPhase(TlsPhase):
    """A handshake that may have a PROXY header in front of it; the deadline counts for both together.

    Args:
        front_door: what all sockets of the port share.
        peer: address that has opened the connection.
    """

    __slots__ = ("_first", "_past_header")

    def __init__(self, front_door: FrontDoor, peer: str) -> None:
        super().__init__(front_door, peer)
        self._past_header = False
        # What was read before there was a transport, from `look_ahead` to `connection_made`.
        self._first: tuple[UsualUpgrade, bytes] | None = None

    def look_ahead(self, accepted: socket.socket) -> None:
        """Take the usual request of a WebSocket, if it has come already; all else stays in the socket.

        So most clients of a crowd need one turn of the event loop, and their sockets are watched for reading once, not
        taken out and put back when the client takes over: with uvloop four system calls less for one that comes alone.

        Args:
            accepted: the client's socket, which has no transport yet, and may block.
        """
        if self._front_door.tls is not None:
            return
        buffer = self._front_door.context.read_buffer
        try:
            size = accepted.recv_into(buffer, 0, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            data = bytes(buffer[:size])
            usual = self._read_usual(data)
            if usual is not None:
                self._first = usual, data
                accepted.recv_into(buffer, size, socket.MSG_DONTWAIT)
        except OSError:
            return  # nothing has come, or the client is gone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with what has come already; called by the event loop."""
        super().connection_made(transport)
        if self._first is not None:
            first, self._first = self._first, None
            self._past_header = True
            self._open_usual(*first)

    def data_received(self, data: bytes) -> None:
        """Look for a PROXY header first; called by the event loop."""
        if self._past_header or self._stage is Stage.ENDING or (not self._buffer and not may_begin_header(data)):
            self._past_header = True
            super().data_received(data)
            return
        self._stage = Stage.HEAD
        self._buffer += data
        try:
            header = read_proxy_header(bytes(self._buffer))
            if header is None:
                return
            if header is not NO_HEADER and not self._front_door.proxies.trust(self.peer):
                raise Refused(400, "a PROXY header is taken from addresses in RELAY_TRUSTED_PROXIES only")
        except Refused as refused:
            self._refuse(refused)
            return
        self._past_header, self._stage = True, Stage.IDLE
        if header.source is not None:
            self.peer = header.source
        rest = bytes(self._buffer[header.size :])
        self._buffer.clear()
        if rest:
            super().data_received(rest)
