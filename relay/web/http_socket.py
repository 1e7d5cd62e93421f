"""The half of an HTTP connection that reads, waits and ends. What its requests say is not its concern."""

from __future__ import annotations

import abc
import asyncio
from contextlib import suppress
from typing import Final, cast

from relay.errors import Refused
from relay.logs import Logger
from relay.protocols.http_error import http_error
from relay.web.http_port import HttpPort
from relay.web.request_stage import Stage

LINGER_SECONDS: Final = 2.0
"""How long a client may take to read its last response and to close."""

MAX_HELD_BYTES: Final = 64 * 1024
"""How much a client may send after a request that is not answered yet, beside one read; more waits in the kernel."""

log = Logger("relay.http")


class HttpSocket(asyncio.Protocol, abc.ABC):
    """A socket that speaks HTTP; see `relay.web.request_stage` for its stages.

    Args:
        port: that the connection came to.
        peer: address of the client, or of the proxy that speaks for it in its headers; None: the socket's peer.
    """

    __slots__ = ("_buffer", "_eof", "_held", "_port", "_reading", "_stage", "_transport", "peer")

    def __init__(self, port: HttpPort, peer: str | None = None) -> None:
        self._port = port
        self.peer = peer or ""
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._stage = Stage.IDLE
        # Whether the client has closed its side.
        self._eof = False
        # Whether aiohttp wants no more of the body for now.
        self._held = False
        # Whether the socket is being read.
        self._reading = True

    @property
    @abc.abstractmethod
    def in_handshake(self) -> bool:
        """See `Expiring`."""

    @abc.abstractmethod
    def _detach(self, exc: Exception | None = None) -> None:
        """Let go of the request handler: it can write nothing more."""

    @property
    @abc.abstractmethod
    def _response_begun(self) -> bool:
        """Whether a part of a response was written, so that no error response may follow it."""

    @property
    def reading(self) -> bool:
        """See `Owner` of `relay.web.http_transport`."""
        return self._reading

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Set the first deadline; called by the event loop."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        if not self.peer:
            self.peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._port.connections.mark_receiving(self, self._port.loop.time() + self._port.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Release everything; called by the event loop."""
        self._transport = None
        self._stage = Stage.ENDING
        self._buffer.clear()
        self._port.connections.remove(self)
        self._detach(exc)

    def expire(self) -> None:
        """End a connection whose deadline has passed; see `Expiring`."""
        if self._stage is Stage.HEAD:
            self._refuse(Refused(408, "the request was not complete in time"))
        else:
            self.abort()

    def drain(self) -> None:
        """End the connection unless a request is being answered; see `Expiring`."""
        if self._stage is Stage.IDLE or self._stage is Stage.HEAD:
            self.abort()

    def abort(self) -> None:
        """Drop the socket at once. Nothing more happens, even if a turn is scheduled before `connection_lost` comes."""
        self._stage = Stage.ENDING
        if self._transport is not None:
            self._transport.abort()

    def _update_reading(self) -> None:
        """Read from the socket as long as there is room for what comes."""
        reading = not self._held and len(self._buffer) <= MAX_HELD_BYTES
        if reading is not self._reading and self._transport is not None and not self._transport.is_closing():
            self._reading = reading
            if reading:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _refuse(self, refused: Refused) -> None:
        """Answer with an HTTP error that says why, and end."""
        log.debug("refused", remote=self.peer, status=refused.status, reason=refused.reason)
        self._port.counters.connections_refused[refused.cause] += 1
        self._write_last(b"" if self._response_begun else http_error(refused.status, refused.reason, refused.headers))

    def _end(self) -> None:
        """End the connection after a response."""
        if self._stage is Stage.ENDING or self._transport is None:
            return
        if self._stage is Stage.RESPONSE and not self._buffer and not self._eof:
            self._stage = Stage.ENDING
            self._detach()
            self._transport.close()  # once everything is written; the deadline stays
            if self._transport is not None and self._transport.get_write_buffer_size():
                self._port.connections.mark_unread(self)
        else:
            self._write_last(b"")

    def _write_last(self, last: bytes) -> None:
        """Write the last bytes, close this side, and read on until the client closes its own.

        Closing both sides at once would make the kernel send a reset if bytes of the client are unread, and a reset
        discards the response on the client's side (RFC 9112, section 9.6).
        """
        transport, port = self._transport, self._port
        if transport is None or self._stage is Stage.ENDING:
            return
        self._stage = Stage.ENDING
        self._buffer.clear()
        self._detach()
        if last:
            transport.write(last)
        seconds = port.request_seconds if transport.get_write_buffer_size() else LINGER_SECONDS
        port.connections.mark_receiving(self, port.loop.time() + seconds)
        if self._eof:
            transport.close()
            return
        if transport.can_write_eof():
            with suppress(OSError):  # the client has disconnected, and the event loop hasn't noticed yet
                transport.write_eof()
        self._held = False
        self._update_reading()
