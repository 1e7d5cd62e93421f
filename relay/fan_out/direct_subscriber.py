"""A subscriber that lets others write to its socket for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from relay.fan_out.direct_socket import Descriptors, DirectSocket


class DirectSubscriber:
    """The way out of a subscriber, by its transport; messages of a group may be written to its socket directly, too.

    Everything that it writes itself goes by `_write`.
    """

    __slots__ = ("_direct", "_transport", "_write")

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        # The transport's `write`, looked up once; the hub calls it for each delivery.
        self._write: Callable[[bytes], object] = _discard
        # Its socket, once others may write to it.
        self._direct: DirectSocket | None = None

    def open_directly(self, descriptors: Descriptors) -> int:
        """Return the descriptor of its socket, whose state is kept up to date from now on.

        Returns:
            A negative number: nothing is written to it directly.
        """
        if self._transport is None:
            return -1
        if self._direct is None:
            self._direct = DirectSocket(self._transport, descriptors)
            if self._direct.descriptor >= 0:
                self._write = self._direct.write
        return self._direct.descriptor

    def write_rest(self, data: bytes) -> None:
        """Write what the socket has not taken of something; called before anything else is written."""
        self._write(data)

    def write_failed(self, error: int) -> None:
        """Take note that its socket has failed, by the error's number; its transport will notice, too."""

    def abort(self) -> None:
        """Drop the socket at once: what was written to it can't be known."""
        if self._transport is not None:
            self._transport.abort()

    def _connect(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._write = transport.write

    def _disconnect(self) -> None:
        """Write no more: the socket has ended, and its descriptor will be another one's."""
        if self._direct is not None:
            self._direct.withhold()
            self._direct = None
        self._transport = None
        self._write = _discard


def _discard(data: bytes) -> None:
    """Write nothing: there is no socket yet, or no longer."""
