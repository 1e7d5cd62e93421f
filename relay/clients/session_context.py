"""What the sessions of clients with several channels share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from relay.auth.authenticator import Identity
from relay.clients.presence_watchers import PresenceWatchers
from relay.clients.registry import Registry
from relay.clients.requests import Requests
from relay.limits.connections import ConnectionLimits
from relay.namespaces import Namespaces
from relay.node import Node
from relay.protocols.request import ConnectRequest

Identify = Callable[[ConnectRequest], Awaitable[Identity]]
"""Returns who sends a request; see `relay.gateway.authentication`."""


class SubscriptionGrant(Protocol):
    """What a token for a channel gives.

    Attributes:
        info: JSON that presence shows of the client on the channel; None: nothing.
        expires_at: when the subscription ends, in seconds since 1970; None: never.
    """

    @property
    def info(self) -> bytes | None: ...

    @property
    def expires_at(self) -> float | None: ...


@runtime_checkable
class SubscriptionAuthenticator(Protocol):
    """Knows tokens for channels. An authenticator that does not have this method knows none."""

    def authorize(self, token: str, channel: str, user: str | None) -> SubscriptionGrant | Awaitable[SubscriptionGrant]:
        """Return what a token for a channel gives, or an awaitable of it.

        Raises:
            TokenRefused: it is not in order.
        """


class ProcedureCalls(Protocol):
    """Calls procedures of a back end."""

    async def call(self, session: object, method: str, data: bytes, binary: bool) -> bytes:
        """Return what the back end answers."""


@dataclass(slots=True, eq=False)
class SessionContext:
    """See above.

    Args:
        node: hub and broker.
        registry: who is connected.
        connections: how many clients one user may have.
        watchers: the clients that hear who comes and who goes.
        namespaces: the options of channels.
        identify: see `Identify`.
        authorizer: knows tokens for channels; None: there are none.
        calls: a back end that has procedures; None: there is none.
        ping_seconds: between two pings of a client.
        now: returns the time in seconds since 1970.

    Attributes:
        requests: what clients wait for.
    """

    node: Node
    registry: Registry
    connections: ConnectionLimits
    watchers: PresenceWatchers
    namespaces: Namespaces
    identify: Identify
    authorizer: SubscriptionAuthenticator | None
    calls: ProcedureCalls | None
    ping_seconds: float
    now: Callable[[], float]
    requests: Requests = field(default_factory=Requests)
