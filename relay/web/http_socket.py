"""One socket that speaks HTTP, with what has come and how it ends. What its requests say isn't its business."""

from __future__ import annotations

import abc
import asyncio
import enum
from contextlib import suppress
from typing import cast

from relay.errors import Refused
from relay.logs import Logger
from relay.protocols.http_error import http_error
from relay.web.http_port import HttpPort

REQUEST_SECONDS = 30.0
"""For a request from its head to the end of its answer; aiohttp has no such limit."""

LINGER_SECONDS = 2.0
"""How long a client may take to read its last answer and close."""

MAX_HELD_BYTES = 64 * 1024
"""What a client may send behind a request before that is answered, and one read; more waits in the socket."""

log = Logger("relay.http")


class Stage(enum.Enum):
    """Where a connection stands with its request."""

    HEAD = enum.auto()  # it has not come, or not whole
    BODY = enum.auto()  # aiohttp has the head, the body is coming
    ANSWER = enum.auto()  # all of it has come; it is being answered
    UPGRADE = enum.auto()  # something else takes the socket over, as soon as it may
    ENDING = enum.auto()  # nothing more is read or written


class HttpSocket(asyncio.Protocol, abc.ABC):
    """The half of a connection that reads, waits and ends.

    Args:
        port: that it came to.
        peer: address of the client, or of the proxy that speaks for it in its headers; None: the socket's.
    """

    __slots__ = ("_begun", "_buffer", "_eof", "_held", "_port", "_reading", "_stage", "_transport", "peer")

    def __init__(self, port: HttpPort, peer: str | None = None) -> None:
        self._port = port
        self.peer = peer or ""
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._stage = Stage.HEAD
        # Whether the first bytes of the request that is coming were seen, and whether the client has closed its side.
        self._begun = self._eof = False
        # Whether what has come must wait here, and whether the socket is read.
        self._held = False
        self._reading = True

    @property
    @abc.abstractmethod
    def in_handshake(self) -> bool:
        """See `Expiring`."""

    @abc.abstractmethod
    def _detach(self, exc: Exception | None = None) -> None:
        """Let go of the request handler: nothing more can be written."""

    @property
    @abc.abstractmethod
    def _answering(self) -> bool:
        """Whether a part of an answer was written, so that nothing else may come behind it."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the clock; called by the event loop."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        if not self.peer:
            self.peer = str((transport.get_extra_info("peername") or ("",))[0])
        self._port.connections.mark_receiving(self, self._port.loop.time() + self._port.head_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything; called by the event loop."""
        self._transport = None
        self._stage = Stage.ENDING
        self._buffer.clear()
        self._port.connections.remove(self)
        self._detach(exc)

    def expire(self) -> None:
        """End a client whose time is over; see `Expiring`."""
        if self._stage is Stage.HEAD and self._begun:
            self._refuse(Refused(408, "the request was not complete in time"))
        else:
            self.abort()

    def drain(self) -> None:
        """End it if no request of it is being answered; see `Expiring`."""
        if self._stage is Stage.HEAD:
            self.abort()

    def abort(self) -> None:
        """Drop the socket at once, and do nothing more: `_process` may be due before `connection_lost` comes."""
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
        self._write_last(b"" if self._answering else http_error(refused.status, refused.reason, refused.headers))

    def _end(self) -> None:
        """End the connection after an answer."""
        if self._stage is Stage.ENDING or self._transport is None:
            return
        if self._stage is Stage.ANSWER and not self._buffer and not self._eof:
            self._stage = Stage.ENDING
            self._detach()
            self._transport.close()  # once everything is written; the deadline stays
            if self._transport is not None and self._transport.get_write_buffer_size():
                self._port.connections.mark_unread(self)
        else:
            self._write_last(b"")

    def _write_last(self, last: bytes) -> None:
        """Write the last bytes, and read on until the client has closed: a reset would take the answer with it."""
        transport, port = self._transport, self._port
        if transport is None or self._stage is Stage.ENDING:
            return
        self._stage = Stage.ENDING
        self._buffer.clear()
        self._detach()
        if last:
            transport.write(last)
        seconds = REQUEST_SECONDS if transport.get_write_buffer_size() else LINGER_SECONDS
        port.connections.mark_receiving(self, port.loop.time() + seconds)
        if self._eof:
            transport.close()
            return
        if transport.can_write_eof():
            with suppress(OSError):  # it has left, and its end was not read yet
                transport.write_eof()
        self._held = False
        self._update_reading()
