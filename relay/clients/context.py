"""What all connections of a gateway share."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from relay.gateway.capacity import max_sockets
from relay.message import Message
from relay.metrics.counters import Counters
from relay.node import Node
from relay.protocols import sse
from relay.protocols.frame import encode_frame
from relay.proxies.forwarded import TrustedProxies
from relay.refusals import FULL, SHUTTING_DOWN
from relay.settings import Settings
from relay.web.http_port import HttpPort

if TYPE_CHECKING:
    from relay.clients.client import Member
    from relay.clients.keepalive import Keepalive
    from relay.clients.long_poll import PollSubscription
    from relay.clients.polls import Polls
    from relay.clients.turns import Turns
    from relay.clients.unfinished_messages import UnfinishedMessages
    from relay.clients.write_timeouts import Stalls

READ_BUFFER_BYTES = 16 * 1024

PROBE_PLACES = 8
"""Sockets that are kept for probes. With few sockets it is an eighth of them."""

websockets_logger = logging.getLogger("relay.websockets")
# Below warnings the library would log a line for each connection that ends.
websockets_logger.setLevel(logging.WARNING)


@dataclass(slots=True, eq=False)
class Context:
    """State and limits that connections need, looked up without going through the settings each time.

    Args:
        settings: of the gateway.
        node: hub and broker.
        counters: where everything is counted.
        keepalive: pings all connections.
        stalls: watches the connections that don't take what is written.
        turns: gives turns to the connections that have more frames than others.
        unfinished: watches the connections that have sent a part of a message.
        http: the sockets that speak HTTP: handshakes, requests, and what waits for its next request.
        polls: the polling clients.
        max_connections: clients that are served at once.
        proxies: whose word about a client's address is believed.
        loop: the event loop that all of this runs on.
    """

    settings: Settings
    node: Node
    counters: Counters
    keepalive: Keepalive
    stalls: Stalls
    turns: Turns
    unfinished: UnfinishedMessages
    http: HttpPort
    polls: Polls
    max_connections: int
    proxies: TrustedProxies
    loop: asyncio.AbstractEventLoop
    connections: set[Member] = field(default_factory=set)
    draining: bool = False
    # Set whenever the last client has gone.
    empty: asyncio.Event = field(default_factory=asyncio.Event)
    # One for all connections: what is read is parsed before the next read. It also bounds how much of one
    # client is taken in before others have their turn.
    read_buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(READ_BUFFER_BYTES)))
    # Beyond so many sockets even refusals would use up the files that the bus needs.
    max_sockets: int = field(default_factory=max_sockets)
    send_buffer_bytes: int = field(init=False)
    max_message_bytes: int = field(init=False)
    drop_when_slow: bool = field(init=False)
    # First bytes of a WebSocket and of an event stream.
    welcome: bytes = field(init=False)
    welcome_event: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.max_message_bytes = self.settings.max_message_bytes
        self.send_buffer_bytes = self.settings.send_buffer_bytes
        self.drop_when_slow = self.settings.slow_consumer == "drop"
        text = self.settings.welcome
        greeting = None if text is None else Message("", text.encode())
        self.welcome = b"" if greeting is None else encode_frame(greeting)
        self.welcome_event = b"" if greeting is None else sse.encode(greeting)

    async def emptied(self, within: float) -> None:
        """Wait until the last client has gone.

        Args:
            within: seconds; returns then, too.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self.connections:
                    await self.empty.wait()

    @property
    def sockets(self) -> int:
        """Number of client sockets that are open now, of whatever kind."""
        return len(self.connections) + len(self.http.connections)

    @property
    def crowded(self) -> bool:
        """Whether there are places for probes only: requests that wait for the bus may have all others."""
        return self.sockets > self.max_sockets - min(PROBE_PLACES, self.max_sockets // 8)

    @property
    def clients(self) -> list[Member | PollSubscription]:
        """All clients, of whatever kind."""
        return [*self.connections, *self.polls]

    def refusal_reason(self) -> str | None:
        """Return why a new client is refused, or None; see `make_room`."""
        if self.draining:
            return SHUTTING_DOWN
        return None if self.make_room() else FULL

    def make_room(self) -> bool:
        """Return whether there is a place for another client, perhaps that of an idle polling client."""
        if self._full:
            self.polls.make_room()
        return not self._full

    @property
    def _full(self) -> bool:
        return len(self.connections) + len(self.polls) >= self.max_connections
