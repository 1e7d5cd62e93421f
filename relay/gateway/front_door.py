"""What all sockets of the gateway's port share until they have become clients."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field

from relay.clients.context import Context
from relay.gateway.admission import Admission
from relay.gateway.capacity import max_sockets
from relay.gateway.handshake_queue import HandshakeQueue
from relay.gateway.opening_request import OpeningRequests
from relay.gateway.tls import Tls
from relay.limits.gateway_limits import GatewayLimits
from relay.proxies.forwarded import TrustedProxies
from relay.web.http_port import HttpPort
from relay.web.refused_names import RefusedNames

PROBE_PLACES = 8
"""Sockets that are kept for probes. With few sockets it is an eighth of them."""

SETTLE_SECONDS = 5.0
"""How long a stop waits for handshakes that were cancelled: an authenticator of the program may not end."""


@dataclass(slots=True, eq=False)
class FrontDoor:
    """The port's sockets, and what they need to become clients.

    Args:
        context: what all clients share.
        http: the sockets that speak HTTP: handshakes, requests, and what waits for its next request.
        openings: reads the requests of clients that want to come in.
        admission: lets them in.
        limits: of what one address and one user may take.
        proxies: whose word about a client's address is believed.
        tls: what connections with TLS share; None: the port speaks none.
        allowed_origins: RELAY_ALLOWED_ORIGINS.
        refused_names: takes note of origins and hosts that the settings do not name.
        max_sockets: beyond so many sockets even refusals would use up the files that the bus needs.

    Attributes:
        handshakes: carries out the handshakes of each tick.
    """

    context: Context
    http: HttpPort
    openings: OpeningRequests
    admission: Admission
    limits: GatewayLimits
    proxies: TrustedProxies
    tls: Tls | None
    allowed_origins: Collection[str] | None
    refused_names: RefusedNames
    max_sockets: int = field(default_factory=max_sockets)
    # Handshakes that wait for something.
    _waiting: set[asyncio.Task[None]] = field(default_factory=set)
    handshakes: HandshakeQueue = field(init=False)

    def __post_init__(self) -> None:
        self.handshakes = HandshakeQueue(self.context.loop)

    @property
    def sockets(self) -> int:
        """Number of client sockets that are open now, of whatever kind."""
        return self.context.registry.sockets + len(self.http.connections)

    @property
    def crowded(self) -> bool:
        """Whether there are places for probes only: requests that wait for the bus may have all others."""
        return self.sockets > self.max_sockets - min(PROBE_PLACES, self.max_sockets // 8)

    def keep(self, task: asyncio.Task[None]) -> None:
        """Keep the task of a handshake that waits."""
        self._waiting.add(task)
        task.add_done_callback(self._waiting.discard)

    async def wait_settled(self) -> None:
        """Wait until no handshake waits any more; end them first. An authenticator may need a while for its end."""
        await self.admission.sessions.requests.stop()
        if self._waiting:
            await asyncio.wait(self._waiting, timeout=SETTLE_SECONDS)
