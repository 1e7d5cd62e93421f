"""One client that reads a channel as server-sent events.

It is delivered to as a WebSocket is: ready-made bytes straight to the transport, the same limits, no task, timer or
queue of its own. The stream ends with its connection. Chunked coding would add bytes to each event and say nothing
that the end of the connection doesn't, and a proxy that speaks HTTP/1.0 to its servers would not understand it.
"""

from __future__ import annotations

import asyncio
import errno
import socket

from relay.clients.client import Client
from relay.clients.context import Context
from relay.clients.session import Session
from relay.errors import CustomDisconnect, Disconnect

MAX_IGNORED_BYTES = 4096
"""What a client may send after its request; it has nothing to say, and a pipelined request would get no answer."""


class EventStream(Client):
    """A client that only listens.

    Args:
        context: what all clients share.
        session: the client's.
    """

    __slots__ = ("_code", "_ignored", "_silent")

    def __init__(self, context: Context, session: Session) -> None:
        super().__init__(context, session)
        self._ignored = 0
        # Whether a write has found that it acknowledges nothing.
        self._silent = False
        # Why it ended, as a WebSocket would be told.
        self._code = 1006

    def take_over(self, transport: asyncio.Transport, response: bytes, received: bytes) -> None:
        """Begin; see `Client`."""
        self._begin(transport, response)
        self._count_open(1)
        _notice_silence(transport, self._context.write_timeout)
        transport.resume_reading()
        self._ignore(len(received))

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """End the stream; nothing happens when it has ended already."""
        if not self.session.open:
            return
        if why is Disconnect.SLOW_CONSUMER:
            self._drop_held()
        self._release_held()
        self._context.counters.disconnects[why.name] += 1
        closing = self.session.protocol.closing(why)
        self._code = closing.code
        self._leave()
        if self._transport is not None:
            self._write(closing.last)
            self._transport.close()  # once everything is written
            self._abort_later()

    def write_failed(self, error: int) -> None:
        """Take note that the client acknowledges nothing: its transport will find only a socket that has failed."""
        if error == errno.ETIMEDOUT:
            self._silent = True

    # What keepalive calls.

    def ping(self) -> None:
        """Write a heartbeat, unless other data waits."""
        self._write_heartbeat()

    def check_heard(self) -> None:
        """Do nothing: the client can't answer a heartbeat. Its kernel acknowledges it; see `_notice_silence`."""

    # What the transport calls.

    def buffer_updated(self, nbytes: int) -> None:
        """Ignore what a client sends that should only listen."""
        self._ignore(nbytes)

    def eof_received(self) -> bool:
        """Let a client go that has closed its side: HTTP has no other way to say that it reads no more."""
        if self.session.open:
            self._code = 1000
        self.abort()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave everything; called by the event loop."""
        if self._silent or isinstance(exc, TimeoutError):
            self._context.counters.disconnects["WRITE_TIMEOUT"] += 1
        self._count_open(-1)
        self._gone(self._code)
        self.session.end()

    def _write_heartbeat(self) -> bool:
        """Write a heartbeat, unless other data waits, or the protocol has none now; return whether it was written."""
        heartbeat = self.session.protocol.ping()
        if self._transport is None or self._held is not None or heartbeat is None:
            return False
        self._write(heartbeat)
        return True

    def _count_open(self, change: int) -> None:
        self._context.counters.event_streams_open += change

    def _ignore(self, count: int) -> None:
        self._ignored += count
        if self._ignored > MAX_IGNORED_BYTES and self.session.open:
            self._context.counters.disconnects[Disconnect.UNEXPECTED_DATA.name] += 1
            self.abort()


def _notice_silence(transport: asyncio.Transport, seconds: float) -> None:
    """Let the kernel end the connection when what is written stays unacknowledged for so long.

    A client that vanished without a word answers no heartbeat; by default Linux tries for a quarter of an hour.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    accepted = transport.get_extra_info("socket")
    if option is not None and accepted is not None:
        accepted.setsockopt(socket.IPPROTO_TCP, option, max(1, round(seconds * 1000)))
