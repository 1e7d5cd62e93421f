"""One connection to Redis, without redis-py on the hot path.

A link packs commands, feeds what arrives to hiredis, and hands every reply to its owner in one synchronous
call per chunk. redis-py's own connection costs about thirty times as much per message, resends writes that
may have been executed, and can freeze the event loop after ETIMEDOUT.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast

import hiredis

from relay.brokers.redis.address import Address

HIGH_WATER_BYTES = 256 * 1024
LOW_WATER_BYTES = 64 * 1024

Replies = Callable[[], Any]
"""Returns the next complete reply, or False when there is none (RESP 2 has no booleans)."""


class LinkOwner(Protocol):
    """Who gets what a link receives. Calls are synchronous and must not raise."""

    def replies_received(self, replies: Replies) -> None:
        """Take all replies that are complete."""

    def link_writable(self, writable: bool) -> None:
        """Be told that the socket is full, or that it takes data again."""


class LinkClosed(ConnectionError):
    """The link is gone; its text says why."""


class Link(asyncio.Protocol):
    """A logged-in connection to Redis, speaking RESP 2.

    RESP 2, because in it pub/sub messages are plain arrays that hiredis parses fastest, and PING works on a
    subscribed connection.

    Attributes:
        closed: a future that is done, with the reason as its result, once the link is gone.
        writable: False while more than 256 KiB wait for the socket.
        heard_at: loop time at which the last bytes came, in seconds.
    """

    def __init__(self, owner: LinkOwner) -> None:
        self._loop = asyncio.get_running_loop()
        self._owner = owner
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self._call: asyncio.Future[Any] | None = None
        self.closed: asyncio.Future[str] = self._loop.create_future()
        self.writable = True
        self.heard_at = self._loop.time()

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
        """Send packed commands; nothing happens when the link is gone."""
        if self._transport is not None and not self.closed.done():
            self._transport.write(data)

    def abort(self, reason: str) -> None:
        """Drop the link at once, without sending what waits."""
        self._end(reason)
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport; called by the event loop."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only
        self._transport.set_write_buffer_limits(HIGH_WATER_BYTES, LOW_WATER_BYTES)

    def data_received(self, data: bytes) -> None:
        """Parse a chunk and hand on its replies; called by the event loop."""
        self.heard_at = self._loop.time()
        self._reader.feed(data)
        try:
            if self._call is None:
                self._owner.replies_received(self._reader.gets)
            elif (reply := self._reader.gets()) is not False and not self._call.done():
                self._call.set_result(reply)
        except hiredis.ProtocolError as error:
            self.abort(f"protocol error: {error}")

    def pause_writing(self) -> None:
        """Note that the socket is full; called by the transport."""
        self.writable = False
        self._owner.link_writable(False)

    def resume_writing(self) -> None:
        """Note that the socket takes data again; called by the transport."""
        self.writable = True
        self._owner.link_writable(True)

    def connection_lost(self, exc: Exception | None) -> None:
        """Settle everything that waits; called by the event loop."""
        self._end(f"connection lost: {exc}" if exc else "closed by Redis")
        self._transport = None

    def _end(self, reason: str) -> None:
        if not self.closed.done():
            self.closed.set_result(reason)
        if self._call is not None and not self._call.done():
            self._call.set_exception(LinkClosed(reason))


def pack(*command: str | bytes | int) -> bytes:
    """Return a command as Redis reads it."""
    packed: bytes = hiredis.pack_command(command)  # type: ignore[arg-type]  # its stub wants a tuple of one
    return packed


async def open_link(address: Address, owner: LinkOwner, name: str, limit: float) -> Link:
    """Connect to Redis and log in.

    Args:
        address: where and as whom.
        owner: who gets the replies afterwards.
        name: shown in Redis' `CLIENT LIST`.
        limit: seconds for all of it.

    Raises:
        OSError: connecting failed (TimeoutError: it took too long).
        hiredis.ReplyError: Redis refused the user, the password or the database.
    """
    link = Link(owner)
    try:
        async with asyncio.timeout(limit):
            await _connect(address, link)
            if address.password is not None:
                await link.call("AUTH", *filter(None, [address.username]), address.password)
            if address.db:
                await link.call("SELECT", address.db)
            await link.call("CLIENT", "SETNAME", name)
            # Refused while Redis loads its data set or wants a password that it wasn't given.
            await link.call("PING")
    except BaseException:
        link.abort("not logged in")
        raise
    return link


async def _connect(address: Address, link: Link) -> None:
    loop = asyncio.get_running_loop()
    if address.path is not None:
        await loop.create_unix_connection(lambda: link, address.path)
    else:
        await loop.create_connection(lambda: link, address.host, address.port, ssl=address.tls)
