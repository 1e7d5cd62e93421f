"""The one way in, for clients of all kinds and for those that only publish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import NamedTuple

from relay.auth.authenticator import (
    Authenticator,
    AuthenticatorError,
    Identity,
    check_history,
    check_presence,
    check_publish,
    check_subscribe,
)
from relay.auth.credential import MISSING, Unauthenticated
from relay.auth.grant import check_identity
from relay.clients.registry import Registry
from relay.clients.session import Session
from relay.control.blocked_users import BlockedUsers
from relay.errors import NotAllowed, Refused, RelayError, Unavailable
from relay.gateway.joining import prepared
from relay.interest import Interest
from relay.limits.gateway_limits import GatewayLimits
from relay.logs import Logger, trace
from relay.namespaces import Namespaces
from relay.node import Node
from relay.protocols import ClientProtocol
from relay.protocols.http_error import http_error
from relay.protocols.request import ConnectRequest
from relay.recovery.reading import Reading
from relay.replay import Resume

_FAULTS = (Exception, SystemExit, asyncio.CancelledError)
"""What a program's authenticator may raise. It is logged, and becomes a refusal."""

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
    this gateway. So most handshakes need no task; see `relay.gateway.eager_task`.

    Args:
        authenticator: tells who clients are.
        registry: who is connected.
        node: hub and broker.
        blocked_users: who is refused for now.
        limits: of what one address and one user may take.
        namespaces: the options of channels.
        patience: seconds that the authenticator may take, and then the bus.
        now: returns the time in seconds since 1970.

    Attributes:
        blocked_users: see above.
        longest: seconds after which a client is let in or refused, whatever happens.
    """

    def __init__(
        self,
        authenticator: Authenticator,
        registry: Registry,
        node: Node,
        blocked_users: BlockedUsers,
        limits: GatewayLimits,
        namespaces: Namespaces,
        patience: float,
        *,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._authenticator = authenticator
        self._limits = limits
        self._namespaces = namespaces
        self._registry = registry
        self._node = node
        self.blocked_users = blocked_users
        self._patience = patience
        self._now = now
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
        return await self.complete(self.begin(request, identity), protocol)

    def begin(self, request: ConnectRequest, identity: Identity | None = None) -> Arrival:
        """Count a client that wants to come in, and ask who it is; the first part of `admit`. `complete` has to follow.

        Raises what `admit` does.
        """
        self._registry.check_open()
        connections = self._limits.connections
        network = connections.enter(request.remote)
        try:
            return Arrival(request, network, self._ask(request) if identity is None else identity)
        except BaseException:
            connections.leave(network, None)
            raise

    async def complete(self, arrival: Arrival, protocol: ClientProtocol) -> Session:
        """Return the session of a client that has been counted; the second part of `admit`, whose errors it raises."""
        connections, remote, user = self._limits.connections, arrival.request.remote, None
        try:
            identity = await self._answer(arrival.identity, arrival.request)
            connections.enter_user(identity.user, remote)
            user = identity.user
            interest, reading = await self._admit_to(protocol, identity)
        except BaseException:
            connections.leave(arrival.network, user)
            raise
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
        """Return who sends a request.

        Raises:
            Refused: with 429, too many authentications have failed from its address, and the authenticator isn't asked;
                what the authenticator raises; with 503, it takes longer than `patience`; with 500, it fails otherwise;
                with 401, its right has expired; with 403, its user is blocked; with 503, that isn't known yet.
        """
        return await self._answer(self._ask(request), request)

    def _ask(self, request: ConnectRequest) -> Identity | Awaitable[Identity]:
        """Return what the authenticator answers, perhaps later; whatever it raises becomes a refusal.

        Until then the request counts as a failure.
        """
        self._limits.failures.check(request.remote)
        try:
            answer = self._authenticator.identify(request)
        except _FAULTS as error:
            raise self._refusal(error, request) from None
        if not isinstance(answer, Identity):
            self._limits.failures.hold(request.remote)
        return answer

    async def _answer(self, answer: Identity | Awaitable[Identity], request: ConnectRequest) -> Identity:
        """Return the identity that an authenticator has answered, or will; errors are those of `identify`."""
        try:
            if not isinstance(answer, Identity):
                answer = await self._wait_for(answer, request)
            check_identity(answer)  # else one name that can't be written would keep presence from being told of others
        except _FAULTS as error:
            raise self._refusal(error, request) from None
        self._check(answer)
        return answer

    def _refusal(self, error: BaseException, request: ConnectRequest) -> BaseException:
        """Return what to raise for one of `_FAULTS`."""
        if isinstance(error, Refused) and _can_be_sent(error):
            if error.status == 401 and error.cause != MISSING:  # without a credential nothing can be tried out
                self._limits.failures.add(request.remote)
            return error
        if isinstance(error, asyncio.CancelledError):
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                return error
            # Else something that the authenticator waited for was cancelled.
        return _fault(error, request)

    async def _wait_for(self, identity: Awaitable[Identity], request: ConnectRequest) -> Identity:
        """Return the identity that an authenticator promises."""
        try:
            await asyncio.sleep(0)  # in a task from here on, which time-outs need
            async with asyncio.timeout(self._patience) as patience:
                found = await identity
        except TimeoutError:
            if not patience.expired():
                raise
            raise Refused(503, Unavailable.AUTHENTICATION_TIMEOUT) from None
        finally:
            self._limits.failures.release(request.remote)
            if isinstance(identity, Coroutine):
                identity.close()  # it may not have been begun
        if not isinstance(found, Identity):
            raise AuthenticatorError(f"it must return an Identity, not {type(found).__name__}")
        return found

    def _check(self, identity: Identity) -> None:
        """Check what may change from one moment to the next; raises `Refused`."""
        # Not `<=`: whatever a program gives that is no number is over.
        if identity.expires_at is not None and not identity.expires_at > self._now():
            raise Unauthenticated("expired", "your right to be here has expired")
        if identity.user is not None:
            self.blocked_users.check(identity.user)

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
            raise Refused(400, "join_leave: of this channel it isn't told who comes and who goes")

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
                self._check(identity)
                self._registry.check_room()  # last: it may take a place away from a polling client
        except BaseException:
            self._node.release(interest)
            raise
        return interest, reading


def _can_be_sent(refused: Refused) -> bool:
    """Return whether a refusal is an HTTP error that can be written."""
    try:
        http_error(refused.status, refused.reason, refused.headers)
    except (ValueError, TypeError, AttributeError):  # UnicodeError is a ValueError
        return False
    return refused.status >= 400


def _fault(error: BaseException, request: ConnectRequest) -> Refused:
    """Log a fault of the authenticator, and return the refusal of its client."""
    # Texts of others may hold what the client has sent.
    why = str(error) if isinstance(error, RelayError) and not isinstance(error, Refused) else type(error).__name__
    log.error("authenticator failed", remote=request.remote, why=why, stack=trace(error))
    return Refused(500, "the relay could not tell who you are; its log has the reason")
