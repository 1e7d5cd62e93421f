"""The sockets on which a worker listens, shared with its supervisor: it can stop listening for one that hangs.

Clients that the kernel has given to a process wait for it, whatever it does, and SO_REUSEPORT goes on to give it its
share of the new ones. `shutdown` on another descriptor of the same socket ends both at once: the kernel resets who
waits there, and all new clients go to the others. `listen` undoes it.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from relay.gateway.listener import BACKLOG

MOST_SOCKETS: Final = 64


def hand_over(sockets: Sequence[socket.socket], to: socket.socket) -> None:
    """Send listening sockets to the process at the other end of a socket pair; the first 64."""
    socket.send_fds(to, [b"\0"], [listening.fileno() for listening in sockets[:MOST_SOCKETS]])


class Listeners:
    """The listening sockets of a worker, as its supervisor holds them.

    Attributes:
        stopped: whether they were told not to listen.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._sockets: list[socket.socket] = []

    def take(self, source: socket.socket) -> None:
        """Receive what was handed over; nothing when nothing was, or no descriptor is left for it."""
        with suppress(OSError):
            _, descriptors, _, _ = socket.recv_fds(source, 1, MOST_SOCKETS, socket.MSG_DONTWAIT)
            self._sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]

    def stop(self) -> None:
        """Reset the clients that wait to be accepted, and get no new ones."""
        for listening in self._sockets:
            with suppress(OSError):  # it has stopped itself
                listening.shutdown(socket.SHUT_RDWR)
        self.stopped = bool(self._sockets)

    def resume(self) -> None:
        """Listen again."""
        for listening in self._sockets:
            with suppress(OSError):  # the port was taken meanwhile: then there is nothing to share
                listening.listen(BACKLOG)
        self.stopped = False

    def close(self) -> None:
        """Let go: the worker has ended, and what it shared must not outlive it."""
        for listening in self._sockets:
            listening.close()
        self._sockets = []
        self.stopped = False
