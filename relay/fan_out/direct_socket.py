"""A socket that its transport shares with the fan-out, and the table that says which may be written to."""

from __future__ import annotations

import mmap
from asyncio import Transport
from ctypes import addressof, c_char
from typing import Final

MOST_DESCRIPTORS: Final = 1 << 20
"""Descriptors that can be written to directly: from 0 up to this one. Each takes a byte, once it is used."""

WITHHELD: Final = 0
OPEN: Final = 1
SKIPPED: Final = 2
"""States of a descriptor, as `native.c` has them."""


class Descriptors:
    """Which sockets may be written to directly now, by their descriptors.

    Attributes:
        states: the table. An entry is `OPEN` only while nothing waits in the transport of that very socket.
        address: of the table in memory.
    """

    def __init__(self) -> None:
        # Memory of its own, which takes room only where it is written to.
        self.states = mmap.mmap(-1, MOST_DESCRIPTORS, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self.address = addressof(c_char.from_buffer(self.states))


class DirectSocket:
    """The way to a socket for the one that owns it, while others may write to it as well.

    Args:
        transport: of the socket.
        descriptor: of the socket; see `descriptor_of`.
        descriptors: where the socket's state is kept.
    """

    __slots__ = ("_states", "_transport", "descriptor")

    def __init__(self, transport: Transport, descriptor: int, descriptors: Descriptors) -> None:
        self._transport = transport
        self._states = descriptors.states
        self.descriptor = descriptor
        self._note()

    def write(self, data: bytes) -> None:
        """Write by the transport; others may write again when nothing is left there."""
        self._transport.write(data)
        self._note()

    def withhold(self) -> None:
        """Forbid direct writes until its owner has written to it, and nothing is left there.

        For good, once the socket ends: its descriptor will be that of another one.
        """
        self._states[self.descriptor] = WITHHELD

    def _note(self) -> None:
        self._states[self.descriptor] = WITHHELD if self._transport.get_write_buffer_size() else OPEN


def descriptor_of(transport: Transport) -> int:
    """Return the descriptor of a transport's socket; -1: only the transport can write to it, as with TLS."""
    if transport.get_extra_info("ssl_object") is not None or (sock := transport.get_extra_info("socket")) is None:
        return -1
    descriptor = int(sock.fileno())
    return descriptor if descriptor < MOST_DESCRIPTORS else -1
