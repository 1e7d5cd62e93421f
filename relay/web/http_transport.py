"""What aiohttp takes for its socket: it writes through, but neither reads nor closes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final, Protocol

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
"""What aiohttp writes for `Expect: 100-continue`."""


class Owner(Protocol):
    """The connection that has the socket; it is told what aiohttp wants."""

    peer: str

    def hold_body(self) -> None:
        """Hand on no more of a body for now."""

    def release_body(self) -> None:
        """Hand on more of it."""

    def answered(self, keep: bool) -> None:
        """An answer was written; `keep` tells whether the connection may serve another request."""

    def handler_closed(self) -> None:
        """Nothing more will be written."""


class HttpTransport(asyncio.Transport):
    """The socket of a connection, as far as an answer to a request needs it.

    Args:
        transport: of the socket.
        owner: of the socket; None once aiohttp has nothing to do with it any more.

    Attributes:
        began: whether an answer has begun to be written; the owner resets it.
        half_closed: whether the client has closed its side: it may have left, or it may wait for its answer.
    """

    def __init__(self, transport: asyncio.Transport, owner: Owner) -> None:
        super().__init__()
        self._transport = transport
        self.owner: Owner | None = owner
        self.began = False
        self.half_closed = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return what is known of the socket; its peer is the client that the connection speaks for."""
        if name == "peername" and self.owner is not None:
            return self.owner.peer, 0
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        """Return whether nothing can be written."""
        return self.owner is None or self._transport.is_closing()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Write, as long as the socket is there."""
        if self.owner is not None:
            # An interim answer is none yet (RFC 9110, section 15.2): a body that is broken is still refused.
            self.began = self.began or data != CONTINUE
            self._transport.write(data)

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        """Write pieces with one system call."""
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        """Return that the end is written by the owner alone."""
        return False

    def get_write_buffer_size(self) -> int:
        """Return how many bytes wait for the client."""
        return self._transport.get_write_buffer_size()

    def pause_reading(self) -> None:
        """Take no more of a body for now; called by aiohttp."""
        if self.owner is not None:
            self.owner.hold_body()

    def resume_reading(self) -> None:
        """Take more of it; called by aiohttp."""
        if self.owner is not None:
            self.owner.release_body()

    def close(self) -> None:
        """Give the connection up; called by aiohttp after an error, and when it is shut down."""
        if self.owner is not None:
            self.owner.handler_closed()

    def abort(self) -> None:
        """Give the connection up; called by aiohttp."""
        self.close()
