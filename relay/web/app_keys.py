"""The parts of the gateway that handlers find in their application, as `request.app[NODE]`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from aiohttp import web

from relay.auth.api_keys import ApiKeyAuthenticator
from relay.auth.authenticator import Identity
from relay.clients.polling_clients import PollingClients
from relay.clients.session import Session
from relay.control import Control
from relay.limits.gateway_limits import GatewayLimits
from relay.metrics.counters import Counters
from relay.metrics.snapshot import Snapshot
from relay.namespaces import Namespaces
from relay.node import Node
from relay.protocols import ClientProtocol
from relay.protocols.request import ConnectRequest
from relay.settings import Settings
from relay.web.refused_names import RefusedNames

SETTINGS = web.AppKey("SETTINGS", Settings)
NODE = web.AppKey("NODE", Node)
CONTROL = web.AppKey("CONTROL", Control)
POLLING_CLIENTS = web.AppKey("POLLING_CLIENTS", PollingClients)
COUNTERS = web.AppKey("COUNTERS", Counters)
LIMITS = web.AppKey("LIMITS", GatewayLimits)
NAMESPACES = web.AppKey("NAMESPACES", Namespaces)
REFUSED_NAMES = web.AppKey("REFUSED_NAMES", RefusedNames)


class Admission(Protocol):
    """Lets clients in; see `relay.gateway.admission`."""

    async def identify(self, request: ConnectRequest) -> Identity:
        """Return who sends a request; raises `Refused`."""

    async def admit(
        self, request: ConnectRequest, protocol: ClientProtocol, identity: Identity | None = None
    ) -> Session:
        """Return the session of a client that connects, who may be known already; raises `Refused`."""

    async def admit_publisher(self, request: ConnectRequest, channel: str) -> Identity:
        """Return who publishes to a channel, and has the right to; raises `Refused`."""


ADMISSION: web.AppKey[Admission] = web.AppKey("ADMISSION")

AUTH = web.AppKey("AUTH", str)
"""How clients are identified: `none`, or another word that says it; see `relay.gateway.access`."""

API_KEYS: web.AppKey[ApiKeyAuthenticator | None] = web.AppKey("API_KEYS")
"""Identifies back ends; None: the server API is off."""

DRAINING: web.AppKey[Callable[[], bool]] = web.AppKey("DRAINING")
"""Returns whether the gateway drains."""


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether clients should be sent to a gateway.

    Args:
        problems: why not, in words; empty when it is ready.
        notes: what an operator should know, although it doesn't keep clients away, in words.
    """

    problems: list[str]
    notes: list[str]


FindReadiness = Callable[[], Awaitable[Readiness]]
READINESS: web.AppKey[FindReadiness] = web.AppKey("READINESS")
"""Returns the readiness of the gateway.

With several worker processes the supervisor is asked. This and `SNAPSHOT` raise `TimeoutError` when it does not answer.
"""

TakeSnapshot = Callable[[], Awaitable[Snapshot]]
SNAPSHOT: web.AppKey[TakeSnapshot] = web.AppKey("SNAPSHOT")
"""Takes a snapshot of the gateway; of several processes, the sum."""

BUILD: web.AppKey[Mapping[str, str]] = web.AppKey("BUILD")
"""Labels of `relay_build_info`."""

BUS = web.AppKey("BUS", str)
"""Which bus is in use: its kind and address, without secrets."""
