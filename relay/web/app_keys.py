"""What the gateway gives to the HTTP side: handlers find it in their application, as `request.app[NODE]`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from aiohttp import web

from relay.auth.authenticator import Identity
from relay.clients.cursors import Cursors
from relay.clients.session import Session
from relay.control import Control
from relay.metrics.counters import Counters
from relay.metrics.snapshot import Snapshot
from relay.node import Node
from relay.protocols import ClientProtocol
from relay.protocols.request import ConnectRequest
from relay.settings import Settings

SETTINGS = web.AppKey("SETTINGS", Settings)
NODE = web.AppKey("NODE", Node)
CONTROL = web.AppKey("CONTROL", Control)
CURSORS = web.AppKey("CURSORS", Cursors)
COUNTERS = web.AppKey("COUNTERS", Counters)


class Admission(Protocol):
    """Lets clients in; see `relay.gateway.admission`."""

    async def admit(self, request: ConnectRequest, protocol: ClientProtocol) -> Session:
        """Return the session of a client that wants to come in; raises `Refused`."""

    async def admit_publisher(self, request: ConnectRequest, channel: str) -> Identity:
        """Return who wants to send a message to a channel, and may; raises `Refused`."""


ADMISSION: web.AppKey[Admission] = web.AppKey("ADMISSION")

DRAINING: web.AppKey[Callable[[], bool]] = web.AppKey("DRAINING")
"""Tells whether the gateway says goodbye to its clients."""

Problems = Callable[[], Awaitable[list[str]]]
PROBLEMS: web.AppKey[Problems] = web.AppKey("PROBLEMS")
"""Says, in words, what keeps the gateway from serving clients now; empty when it is ready.

Of several processes one asks the others. `TimeoutError`, from here and from `SNAPSHOT`: nobody can tell.
"""

TakeSnapshot = Callable[[], Awaitable[Snapshot]]
SNAPSHOT: web.AppKey[TakeSnapshot] = web.AppKey("SNAPSHOT")
"""Takes a snapshot of the gateway: of all its processes, when it has several."""

BUILD: web.AppKey[Mapping[str, str]] = web.AppKey("BUILD")
"""What runs here: labels of `relay_build_info`."""

BUS = web.AppKey("BUS", str)
"""Which bus is in use: its kind and address, without any secret."""
