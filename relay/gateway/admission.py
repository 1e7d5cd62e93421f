"""The one way in, for clients of all kinds and for those that only publish."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import NamedTuple, cast

from relay.auth.authenticator import (
    Identity,
    check_history,
    check_presence,
    check_publish,
    check_subscribe,
)
from relay.clients.connecting import unknown
from relay.clients.joining import prepared
from relay.clients.multiplexed_session import MultiplexedSession
from relay.clients.registry import Registry
from relay.clients.session import Session
from relay.clients.session_context import SessionContext
from relay.errors import NotAllowed, Refused, Unavailable
from relay.gateway.authentication import Authentication
from relay.interest import Interest
from relay.limits.gateway_limits import GatewayLimits
from relay.logs import Logger
from relay.node import Node
from relay.protocols import ClientProtocol
from relay.protocols.multiplexed import MultiplexedProtocol
from relay.protocols.request import ConnectRequest
from relay.recovery.reading import Reading
from relay.replay import Resume

log = Logger("relay.gateway")


class Arrival(NamedTuple):
    """A client that has been counted, and that may come in when it is known who it is.

    Args:
        request: what it has sent.
        network: what its address is counted as; see `relay.limits.connections`.
        identity: what the authenticator has answered.
    """

    request: ConnectRequest
    network: str
    identity: Identity | Awaitable[Identity]


class Admission:
    """Lets clients in: who is it, may it, is there a place, does the bus deliver.

    What comes before depends on how the client comes: its address, `Host` and `Origin`, and what it asks for.

    Nothing here waits unless something has to be waited for: the authenticator, or the bus for a channel that is new to
    this gateway. So most handshakes need no task; see `relay.clients.eager_task`.

    Args:
        authentication: tells who clients are.
        registry: who is connected.
        node: hub and broker.
        limits: of what one address and one user may take.
        sessions: what the sessions of clients with several channels share.

    Attributes:
        authentication: see above.
        sessions: see above.
        longest: seconds after which a client is let in or refused, whatever happens.
    """

    def __init__(
        self,
        authentication: Authentication,
        registry: Registry,
        node: Node,
        limits: GatewayLimits,
        sessions: SessionContext,
    ) -> None:
        self.authentication = authentication
        self._limits = limits
        self._namespaces = sessions.namespaces
        self.sessions = sessions
        self._registry = registry
        self._node = node
        patience = authentication.patience
        # Soon enough for a client to be told: many give up after ten seconds.
        self._bus_patience = min(patience, node.subscribe_timeout)
        self.longest = patience + self._bus_patience + 1.0

    async def admit(
        self, request: ConnectRequest, protocol: ClientProtocol, identity: Identity | None = None
    ) -> Session:
        """Return the session of a client that wants to come in; the bus delivers its channel.

        Args:
            request: what it has sent.
            protocol: what it speaks.
            identity: who it is; None: not known yet.

        Raises:
            Refused: with 401 or 403, it may not; with 429, its address or user has too many clients; with 503, there is
                no place, or the bus doesn't acknowledge; and what `identify` raises.
        """
        return await self.complete(self.begin(request, protocol, identity), protocol)

    def begin(self, request: ConnectRequest, protocol: ClientProtocol, identity: Identity | None = None) -> Arrival:
        """Count a client that wants to come in, and ask who it is; the first part of `admit`. `complete` has to follow.

        Raises what `admit` does.
        """
        self._registry.check_open()
        connections = self._limits.connections
        network = connections.enter(request.remote)
        try:
            if identity is None and protocol.multiplexed and cast(MultiplexedProtocol, protocol).connects_by_message:
                identity = unknown(self.sessions.now())
            return Arrival(request, network, self.authentication.ask(request) if identity is None else identity)
        except BaseException:
            connections.leave(network, None)
            raise

    async def complete(self, arrival: Arrival, protocol: ClientProtocol) -> Session:
        """Return the session of a client that has been counted; the second part of `admit`, whose errors it raises."""
        connections, remote, user = self._limits.connections, arrival.request.remote, None
        try:
            identity = await self.authentication.answer(arrival.identity, arrival.request)
            connections.enter_user(identity.user, remote)
            user = identity.user
            interest, reading = await self._admit_to(protocol, identity)
        except BaseException:
            connections.leave(arrival.network, user)
            raise
        if protocol.multiplexed:
            return MultiplexedSession(self.sessions, identity, cast(MultiplexedProtocol, protocol), arrival.network)
        return Session(self._node, identity, protocol, interest, arrival.network, reading)

    def withdraw(self, session: Session) -> None:
        """Give back what `admit` has counted and claimed for a client that has not joined the registry after all."""
        session.withdraw()
        self._limits.connections.leave(session.network, session.user)

    async def admit_publisher(self, request: ConnectRequest, channel: str) -> Identity:
        """Return who wants to send a message to a channel, and may.

        Raises:
            Refused: with 403, it may not; and what `identify` raises.
        """
        identity = await self.identify(request)
        try:
            check_publish(identity, channel)
        except NotAllowed as error:
            raise Refused(403, str(error)) from None
        return identity

    async def identify(self, request: ConnectRequest) -> Identity:
        """Return who sends a request; see `Authentication.identify`."""
        return await self.authentication.identify(request)

    async def _admit_to(self, protocol: ClientProtocol, identity: Identity) -> tuple[Interest | None, Reading | None]:
        """Return a claim on the channel with which a client comes in, None without one, and what was read for it.

        Raises what `admit` does.
        """
        channel = protocol.channel
        try:
            if channel is not None:
                check_subscribe(identity, channel)
                if protocol.resume and isinstance(protocol.resume, int):
                    check_history(identity, channel)
                    self._check_kept(channel)
                if protocol.presence is not None:
                    check_presence(identity, channel)
                    self._check_told(channel)
        except NotAllowed as error:
            raise Refused(403, str(error)) from None
        self._registry.check_room()
        return (None, None) if channel is None else await self._claim(channel, protocol.resume, identity)

    def _check_kept(self, channel: str) -> None:
        """Refuse to send messages of a channel that keeps none: a client would wait for them."""
        if not self._namespaces.options(channel).history_size:
            raise Refused(400, "history: this channel keeps no messages")

    def _check_told(self, channel: str) -> None:
        """Refuse to tell who comes to a channel of which that isn't told, and who goes."""
        if not self._namespaces.options(channel).join_leave:
            raise Refused(400, "join_leave: this channel doesn't tell who joins and leaves")

    async def _claim(self, channel: str, resume: Resume, identity: Identity) -> tuple[Interest, Reading | None]:
        """Return a claim on a channel that the bus has acknowledged, for a client that may still come in then."""
        interest, acknowledged = self._node.claim(channel)
        reading = None
        try:
            waited = not acknowledged.done()
            if interest.positioned:
                waited, reading = await prepared(self._node, interest, acknowledged, resume, self._bus_patience)
            elif waited:
                await interest.settled(acknowledged, self._bus_patience)
            if not acknowledged.done():
                raise Refused(503, Unavailable.BUS_TIMEOUT)
            if acknowledged.cancelled() or acknowledged.exception() is not None:
                raise Refused(503, Unavailable.BUS_REFUSED)
            if waited:
                self.authentication.check(identity)
                self._registry.check_room()  # last: it may take a place away from a polling client
        except BaseException:
            self._node.release(interest)
            raise
        return interest, reading
