"""The transport that aiohttp gets: it writes to the socket, but neither reads from it nor closes it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, Protocol

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What aiohttp writes for `Expect: 100-continue`."""


class Owner(Protocol):
    """The connection that owns the socket; it is told what aiohttp wants."""

    peer: str

    @property
    def reading(self) -> bool:
        """Whether the socket is being read; only then it is noticed that the client closes it."""

    def hold_body(self) -> None:
        """Pass on no more of a body for now."""

    def release_body(self) -> None:
        """Pass on more of the body."""

    def response_written(self, keep: bool) -> None:
        """Take note that a response is written.

        Args:
            keep: whether the connection may serve another request.
        """

    def handler_closed(self) -> None:
        """Take note that aiohttp will write nothing more: it had an error, or is shut down."""


class HttpTransport(asyncio.Transport):
    """The socket of a connection, as far as a response needs it.

    Args:
        transport: of the socket.
        owner: the connection that owns the socket.

    Attributes:
        owner: as above; None once aiohttp has lost the connection.
        response_begun: whether a part of a response was written; the owner resets it.
        admission: the task that waits for the client to be let in; it ends when the connection is lost.
        half_closed: whether the client has closed its side: it may have disconnected, or may wait for its response.
    """

    def __init__(self, transport: asyncio.Transport, owner: Owner) -> None:
        super().__init__()
        self._transport = transport
        self.owner: Owner | None = owner
        self.response_begun = False
        self.half_closed = False
        self.admission: asyncio.Task[Any] | None = None

    def lose(self) -> None:
        """Write nothing more: the connection is lost."""
        self.owner = None
        if self.admission is not None:
            self.admission.cancel()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the socket; as its peer, the client that the connection speaks for."""
        if name == "peername" and self.owner is not None:
            return self.owner.peer, 0
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Return whether nothing can be written any more."""
        return self.owner is None or self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, as long as aiohttp has the connection."""
        if self.owner is not None:
            # An interim response is not the response (RFC 9110, section 15.2): a broken body is still refused.
            self.response_begun = self.response_begun or data != CONTINUE
            self._transport.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write several pieces with one system call."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return False: only the owner closes this side of the socket."""
        return False

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the client."""
        return self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Take no more of a body for now; called by aiohttp."""
        if self.owner is not None:
            self.owner.hold_body()

    def resume_reading(self) -> None:
        """Take more of the body; called by aiohttp."""
        if self.owner is not None:
            self.owner.release_body()

    def close(self) -> None:
        """Give up the connection; called by aiohttp after an error, and when it is shut down."""
        if self.owner is not None:
            self.owner.handler_closed()

    def abort(self) -> None:
        """Give up the connection; called by aiohttp."""
        self.close()
