"""What the sessions of clients with several channels share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakValueDictionary

import relay.rpc_call
from relay.auth.authenticator import Identity
from relay.auth.personal_channels import PersonalChannels
from relay.auth.subscription_tokens import SubscriptionAuthenticator
from relay.clients.presence_watchers import PresenceWatchers
from relay.clients.registry import Registry
from relay.clients.requests import Requests
from relay.limits.connections import ConnectionLimits
from relay.namespaces import Namespaces
from relay.node import Node
from relay.protocols.request import ConnectRequest

Identify = Callable[[ConnectRequest], Awaitable[Identity]]
"""Returns who sends a request; see `relay.gateway.authentication`."""


class Rpc(relay.rpc_call.Rpc, Protocol):
    """A back end that answers calls."""

    def headers_of(self, request: ConnectRequest) -> Mapping[str, str]:
        """Return what the calls of a client have as headers; raises `Refused` where that can't be passed on."""


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
        rpc: answers calls of clients.
        personal: channels to which each user is subscribed without asking.
        emulated_headers: names of headers that clients may send in their protocol, for the authenticator.
        ping_seconds: between two pings of a client.
        now: returns the time in seconds since 1970.

    Attributes:
        requests: what clients wait for.
        shared: what clients share on a channel, for as long as one of them has it; see `MultiplexedSession.shared`.
    """

    node: Node
    registry: Registry
    connections: ConnectionLimits
    watchers: PresenceWatchers
    namespaces: Namespaces
    identify: Identify
    authorizer: SubscriptionAuthenticator | None
    rpc: Rpc
    personal: PersonalChannels
    emulated_headers: Collection[str]
    ping_seconds: float
    now: Callable[[], float]
    requests: Requests = field(default_factory=Requests)
    shared: WeakValueDictionary[tuple[str, object], Any] = field(default_factory=WeakValueDictionary)
