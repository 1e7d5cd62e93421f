"""Who is connected to a gateway, and whether there is a place for one more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Protocol

from relay.auth.authenticator import Identity
from relay.clients.expirations import Expirations
from relay.clients.session import Session
from relay.errors import CustomDisconnect, Disconnect, Refused, Unavailable
from relay.limits.connections import ConnectionLimits
from relay.logs import Logger
from relay.metrics.counters import Counters

log = Logger("relay.gateway")


class Connected(Protocol):
    """A client of whatever kind.

    Attributes:
        session: who it is, and to what it is subscribed.
    """

    session: Session

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client."""

    @property
    def takes_turns(self) -> bool:
        """Whether something that was read of it waits for its turn, and for nothing else."""

    def prepare_to_close(self) -> bool:
        """Publish nothing more; return whether nothing is left to be published."""

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """End it, as its protocol says it; nothing happens when it is ending already."""

    def expire(self) -> None:
        """End it, as its right is over."""

    def abort(self) -> None:
        """End it at once, without a word."""

    def refresh(self, expires_at: float | None) -> None:
        """Give it another end, in seconds since 1970; None: none."""


class Registry:
    """All clients of one gateway, from the end of their handshake until they have gone.

    Args:
        places: how many clients are served at once.
        counters: where clients are counted.
        find_evictable: called when all places are taken: returns what takes away that of a client which isn't using
            it; None: there is no such client.
        limits: are told when a client leaves; they have counted it when it asked to come in.
        expirations: closes the clients whose rights expire.

    Attributes:
        places: how many clients are served at once.
        draining: whether no new clients are let in, as the gateway is shutting down.
        sockets: how many of the clients have a socket of their own; those that poll have none.
        expirations: see above.
    """

    def __init__(
        self,
        places: int,
        counters: Counters,
        find_evictable: Callable[[], Callable[[], None] | None],
        limits: ConnectionLimits,
        expirations: Expirations,
    ) -> None:
        self.places = places
        self.draining = False
        self.sockets = 0
        self._counters = counters
        self._find_evictable = find_evictable
        self._limits = limits
        self.expirations = expirations
        self._clients: set[Connected] = set()
        # Set whenever the last client has gone.
        self._empty = asyncio.Event()

    def __len__(self) -> int:
        """Return how many clients are connected."""
        return len(self._clients)

    def __contains__(self, client: object) -> bool:
        """Return whether a client is connected."""
        return client in self._clients

    def __iter__(self) -> Iterator[Connected]:
        """Go through the clients that are connected now: a copy, so they may leave meanwhile."""
        return iter(list(self._clients))

    def join(self, client: Connected, *, socket: bool = True) -> None:
        """Count a client that has come in.

        Args:
            client: its session is complete.
            socket: whether it has a socket of its own.
        """
        self._clients.add(client)
        self._empty.clear()
        self.sockets += socket
        self._counters.connections_open += 1
        self._counters.transports_open[client.session.protocol.transport] += 1
        self._counters.connections_accepted += 1
        expires_at = client.session.identity.expires_at
        if expires_at is not None:
            self.expirations.add(client, expires_at)

    def leave(self, client: Connected, code: int, *, socket: bool = True) -> None:
        """Count a client that has gone.

        Args:
            client: it has joined.
            code: why, as a WebSocket close code; 1006: without a closing handshake.
            socket: as when it joined.
        """
        self._clients.remove(client)
        self.sockets -= socket
        self._counters.connections_open -= 1
        transports, transport = self._counters.transports_open, client.session.protocol.transport
        transports[transport] -= 1
        if not transports[transport]:
            del transports[transport]
        self._counters.connections_closed[code] += 1
        if not self._clients:
            self._empty.set()
        session = client.session
        self._limits.leave(session.network, session.user)
        if session.identity.expires_at is not None:
            self.expirations.discard(client, session.identity.expires_at)
        log.debug("disconnected", channel=session.protocol.channel, user=session.user, code=code)

    def refresh(self, client: Connected, identity: Identity) -> None:
        """Give a client that is connected other rights, or another end.

        Args:
            client: has joined, and perhaps left already.
            identity: of the same user.
        """
        session = client.session
        before, after = session.identity.expires_at, identity.expires_at
        session.change_identity(identity)
        if before == after or client not in self._clients:
            return
        if before is not None:
            self.expirations.discard(client, before)
        if after is not None:
            self.expirations.add(client, after)

    def check_open(self) -> None:
        """Make sure that there is a place, or one that can be taken away, before the authenticator is asked.

        Raises:
            Refused: with 503; the gateway is shutting down, or full.
        """
        if self.draining:
            raise Refused(503, Unavailable.DRAINING)
        if len(self._clients) >= self.places and self._find_evictable() is None:
            raise Refused(503, Unavailable.FULL)

    def check_room(self) -> None:
        """Make sure that a new client may come in, perhaps in the place of one that doesn't use it.

        Raises:
            Refused: as `check_open` does.
        """
        self.check_open()
        if len(self._clients) >= self.places and (evict := self._find_evictable()) is not None:
            evict()

    async def emptied(self, within: float) -> None:
        """Wait until the last client has gone.

        Args:
            within: seconds; returns then, too.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._clients:
                    await self._empty.wait()
