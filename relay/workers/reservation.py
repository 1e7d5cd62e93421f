"""The reservation of a port for the workers of one gateway, against other programs.

SO_REUSEPORT lets any process of the same user share a port, so a second `relay serve` would quietly take half of the
clients. A reservation keeps out every other gateway, and every server that doesn't set that option itself.
"""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self

from relay.web.listen_addresses import bind_all


class Reservation:
    """One port on some addresses, reserved until closed. A context manager.

    Sockets that listen with SO_REUSEPORT share the port; one that doesn't set it is refused, whether a worker listens
    at the moment or not.

    Args:
        addresses: family and address, each once.
        port: TCP port; 0: any free one, the same for all addresses.

    Raises:
        OSError: an address can't be used, or the port is taken.

    Attributes:
        port: that is reserved.
    """

    def __init__(self, addresses: list[tuple[int, str]], port: int) -> None:
        self._sockets, self.port = bind_all(_reserve, addresses, port)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for reserved in self._sockets:
            reserved.close()


def _reserve(family: int, address: str, port: int) -> socket.socket:
    """Return a socket that is bound and doesn't listen, so that it gets no clients."""
    # Only listening, without SO_REUSEPORT, tells for certain that no other program has the port.
    with _socket(family) as first:
        first.bind((address, port))
        first.listen()
        first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        reserved = _socket(family)
        try:
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            reserved.bind(first.getsockname()[:2])
            # Two sockets that don't listen may share a port with this option. It was needed up to here: connections
            # of an earlier run may still be in TIME_WAIT.
            reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        except OSError:
            reserved.close()
            raise
        return reserved


def _socket(family: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made
