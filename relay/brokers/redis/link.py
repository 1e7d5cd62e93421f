"""One connection to Redis, without redis-py on the hot path.

A link sends packed commands, parses what arrives with hiredis, and hands all replies of a chunk to its owner in one
synchronous call. redis-py's own connection costs about thirty times as much per message, resends writes that
may have been executed, and can freeze the event loop after ETIMEDOUT.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol, cast

import hiredis

from relay.brokers.redis.server import Server
from relay.errors import RelayError

HIGH_WATER_BYTES = 256 * 1024
LOW_WATER_BYTES = 64 * 1024

LOGIN_BYTES = 1024 * 1024
"""How much may come before the log-in is done: a Redis answers with some hundreds of bytes."""

Replies = Callable[[], Any]
"""Returns the next complete reply, or False when there is none (RESP 2 has no booleans)."""


class LinkOwner(Protocol):
    """The user of a link, which gets its replies. Calls are synchronous and must not raise."""

    def replies_received(self, replies: Replies) -> None:
        """Take all complete replies; called once per chunk of bytes."""

    def link_writable(self, writable: bool) -> None:
        """Take note that the socket is full, or that it takes data again."""


class LinkClosed(RelayError, ConnectionError):
    """The link is closed; the text says why."""


class Link(asyncio.Protocol):
    """A connection to Redis, speaking RESP 2.

    RESP 2, because in it pub/sub messages are plain arrays that hiredis parses fastest, and PING works on a
    subscribed connection.

    Attributes:
        allowance: bytes that may still come; with more the link is closed, however little of it is a reply. None: any
            number, which a link needs that gets messages.
        closed: a future that is done, with the reason as its result, once the link is closed.
        writable: False while more than 256 KiB wait for the socket.
        heard_at: when the last bytes came: `time.monotonic()`, in seconds.
        owner: gets the replies; None until the log-in is done.
        server: the Redis at the other end, as far as it has introduced itself.
        place: the address at the other end, as text.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._call: asyncio.Future[Any] | None = None
        self.allowance: int | None = LOGIN_BYTES
        self.closed: asyncio.Future[str] = self._loop.create_future()
        self.writable = True
        self.heard_at = time.monotonic()
        self.owner: LinkOwner | None = None
        self.server = Server()
        self.place = ""

    async def call(self, *command: str | bytes | int) -> Any:
        """Send one command and wait for its reply; for the log-in only, one call at a time.

        Raises:
            hiredis.ReplyError: Redis answered with an error.
            LinkClosed: the link broke meanwhile.
        """
        self._call = self._loop.create_future()
        self.write(pack(*command))
        try:
            reply = await self._call
        finally:
            self._call = None
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def write(self, data: bytes) -> None:
        """Send packed commands; nothing happens when the link is closed."""
        if self._transport is not None and not self.closed.done():
            self._transport.write(data)

    def abort(self, reason: str) -> None:
        """Close the link at once, without sending what waits in the buffer."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; called by the event loop."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        self._transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)

    def data_received(self, data: bytes) -> None:
        """Parse a chunk and pass on its replies; called by the event loop."""
        self.heard_at = time.monotonic()
        if self.allowance is not None:
            self.allowance -= len(data)
            if self.allowance < 0:
                self.abort("it sends far more than the answers to what it was asked")
                return
        self._reader.feed(data)
        try:
            if self.owner is not None:
                self.owner.replies_received(self._reader.gets)
            elif (reply := self._reader.gets()) is False:
                return
            elif self._call is None:
                self.abort(f"Redis says, unasked: {reply!s:.200}")
            elif not self._call.done():
                self._call.set_result(reply)
        except hiredis.ProtocolError as error:
            self.abort(f"protocol error: {error}")

    def pause_writing(self) -> None:
        """Note that the socket is full; called by the transport."""
        self.writable = False
        if self.owner is not None:
            self.owner.link_writable(False)

    def resume_writing(self) -> None:
        """Note that the socket takes data again; called by the transport."""
        self.writable = True
        if self.owner is not None:
            self.owner.link_writable(True)

    def connection_lost(self, exc: Exception | None) -> None:
        """End the log-in and settle `closed`; called by the event loop."""
        words = (exc.strerror if isinstance(exc, OSError) else None) or str(exc)  # without the system's number
        self._end(f"connection lost: {words}" if exc else "closed by Redis")
        self._transport = None

    def _end(self, reason: str) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)
        if self._call is not None and not self._call.done():
            self._call.set_exception(LinkClosed(reason))


def pack(*command: str | bytes | int) -> bytes:
    """Return a command in the format of Redis."""
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub wants a tuple of one
    return packed
