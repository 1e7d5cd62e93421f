"""The open HTTP connections of a port: their deadlines, and which of them are dropped when places run short."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Protocol

from relay.metrics.counters import Counters

MAX_IDLE: Final = 1024
"""How many connections may wait for their next request, before the oldest is dropped. A proxy keeps some tens."""


class Expiring(Protocol):
    """A connection with a deadline."""

    @property
    def in_handshake(self) -> bool:
        """Whether its first request is not read yet, waits for the bus, or was refused."""

    def expire(self) -> None:
        """End the connection: its deadline has passed."""

    def drain(self) -> None:
        """End the connection unless a request is being answered: the gateway drains."""

    def abort(self) -> None:
        """Drop the connection at once."""


class OpenConnections:
    """The sockets of a port that speak HTTP, each with its deadline.

    A connection whose request the relay works on keeps its place. The others may be dropped when places run short:
    first the one that has been idle for longest, then the one whose client has left its request unfinished, or its
    response unread, for longest.

    Each connection is marked when its state changes; a mark replaces the one before.

    Args:
        counters: where dropped connections are counted.
        max_idle: how many may wait for their next request.

    Attributes:
        max_idle: as above.
    """

    def __init__(self, counters: Counters, max_idle: int = MAX_IDLE) -> None:
        self.max_idle = max_idle
        self._counters = counters
        # Each keeps the order in which its connections were marked.
        self._deadlines: dict[Expiring, float] = {}
        self._idle: dict[Expiring, None] = {}
        self._stalled: dict[Expiring, None] = {}

    def __len__(self) -> int:
        """Return the number of connections."""
        return len(self._deadlines)

    def __iter__(self) -> Iterator[Expiring]:
        """Iterate over a copy: connections may end meanwhile."""
        return iter(list(self._deadlines))

    @property
    def handshakes(self) -> int:
        """Number of connections whose first request is not answered yet, or was refused."""
        return sum(connection.in_handshake for connection in self._deadlines)

    def mark_busy(self, connection: Expiring, deadline: float) -> None:
        """Note that the relay works on a complete request.

        Args:
            connection: a new or a known one.
            deadline: loop time, in seconds, at which `expire` is called on it.
        """
        self._deadlines[connection] = deadline
        self._idle.pop(connection, None)
        self._stalled.pop(connection, None)

    def mark_receiving(self, connection: Expiring, deadline: float) -> None:
        """Note that the client has to go on: with its request, or with closing; arguments as for `mark_busy`."""
        self.mark_busy(connection, deadline)
        self._stalled[connection] = None

    def mark_unread(self, connection: Expiring) -> None:
        """Note that the client does not read its response; the deadline stays."""
        if connection in self._deadlines:
            self._stalled[connection] = None

    def mark_idle(self, connection: Expiring, deadline: float) -> None:
        """Note that the client may send its next request; arguments as for `mark_busy`."""
        self.mark_busy(connection, deadline)
        self._idle[connection] = None
        if len(self._idle) > self.max_idle:
            self.evict()

    def remove(self, connection: Expiring) -> None:
        """Forget a connection that has ended, or speaks something else; a no-op if it is not known."""
        self._deadlines.pop(connection, None)
        self._idle.pop(connection, None)
        self._stalled.pop(connection, None)

    def evict(self) -> bool:
        """Drop the connection that has been idle, or else stalled by its client, for longest.

        Returns:
            Whether there was one.
        """
        oldest = next(iter(self._idle or self._stalled), None)
        if oldest is None:
            return False
        self._counters.http_connections_evicted += 1
        self.remove(oldest)
        oldest.abort()
        return True

    def expire(self, now: float) -> None:
        """Call `expire` on each connection whose deadline has passed. A connection that stays is asked again.

        Args:
            now: loop time, in seconds.
        """
        for connection in [connection for connection, deadline in self._deadlines.items() if deadline <= now]:
            connection.expire()
