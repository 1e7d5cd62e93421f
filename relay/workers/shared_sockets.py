"""The listening sockets of a worker, shared with the supervisor, which can stop them when the worker hangs.

Clients that the kernel has given to a process wait for it, even when it hangs, and SO_REUSEPORT goes on giving it its
share of the new ones. `shutdown` on another descriptor of the same socket ends both at once: the kernel resets the
clients that wait there, and sends all new ones to the other workers. `listen` undoes it.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from relay.gateway.listener import BACKLOG

MAX_SOCKETS: Final = 64


def send_sockets(sockets: Sequence[socket.socket], to: socket.socket) -> None:
    """Send listening sockets to the process at the other end of a socket pair; the first 64."""
    socket.send_fds(to, [b"\0"], [listening.fileno() for listening in sockets[:MAX_SOCKETS]])


class SharedSockets:
    """The listening sockets of one worker, as its supervisor holds them.

    Attributes:
        stopped: whether they were made to stop listening.
    """

    def __init__(self) -> None:
        self.stopped = False
        self._sockets: list[socket.socket] = []

    def receive(self, source: socket.socket) -> None:
        """Receive what the worker has sent; nothing when it sent nothing, or no file descriptor is left for it."""
        with suppress(OSError):
            _, descriptors, _, _ = socket.recv_fds(source, 1, MAX_SOCKETS, socket.MSG_DONTWAIT)
            self._sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]

    def stop(self) -> None:
        """Reset the clients that wait to be accepted, and take no new ones."""
        for listening in self._sockets:
            with suppress(OSError):  # the worker has stopped it
                listening.shutdown(socket.SHUT_RDWR)
        self.stopped = bool(self._sockets)

    def resume(self) -> None:
        """Listen again."""
        for listening in self._sockets:
            with suppress(OSError):  # another program took the port meanwhile: then there is nothing to share
                listening.listen(BACKLOG)
        self.stopped = False

    def close(self) -> None:
        """Close this process's descriptors: the worker has ended, and its sockets must not outlive it."""
        for listening in self._sockets:
            listening.close()
        self._sockets = []
        self.stopped = False
