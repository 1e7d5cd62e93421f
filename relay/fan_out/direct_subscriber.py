"""A subscriber that lets others write to its socket for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ClassVar

from relay.fan_out.direct_socket import Descriptors, DirectSocket, descriptor_of


class DirectSubscriber:
    """The way out of a subscriber, by its transport; messages of a group may be written to its socket directly, too.

    Everything that it writes itself goes by `_write`.

    Attributes:
        gathers: whether it gets what several groups have for it in one write.
    """

    __slots__ = ("_transport", "_write")

    gathers: ClassVar[bool] = False

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        # The transport's `write`, looked up once; the hub calls it for each delivery.
        self._write: Callable[[bytes], object] = _discard

    @property
    def _direct(self) -> DirectSocket | None:
        """Its socket, once others may write to it. A slot for it would take 16 bytes of each idle client."""
        owner = getattr(self._write, "__self__", None)
        return owner if isinstance(owner, DirectSocket) else None

    def open_directly(self, descriptors: Descriptors) -> int:
        """Return the descriptor of its socket, whose state is kept up to date from now on.

        Returns:
            A negative number: nothing is written to it directly.
        """
        direct = self._direct
        if direct is not None:
            return direct.descriptor
        if self._transport is None or (descriptor := descriptor_of(self._transport)) < 0:
            return -1
        self._write = self._share(self._transport, descriptor, descriptors).write
        return descriptor

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

    def _share(self, transport: asyncio.Transport, descriptor: int, descriptors: Descriptors) -> DirectSocket:
        """Return its way to the socket from now on."""
        return DirectSocket(transport, descriptor, descriptors)

    def _withhold(self) -> None:
        """Let no other code write to its socket; see `DirectSocket.withhold`."""
        if (direct := self._direct) is not None:
            direct.withhold()

    def _disconnect(self) -> None:
        """Write no more: the socket has ended, and its descriptor will be another one's."""
        self._withhold()
        self._transport = None
        self._write = _discard


def _discard(data: bytes) -> None:
    """Write nothing: there is no socket yet, or no longer."""
