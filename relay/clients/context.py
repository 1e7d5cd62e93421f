"""What the clients of a gateway share."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field

from relay.clients.emulated_streams import EmulatedStreams
from relay.clients.keepalive import Keepalive
from relay.clients.missed_messages import MissedMessages
from relay.clients.presence_watchers import PresenceWatchers
from relay.clients.registry import Registry
from relay.clients.throttled_clients import ThrottledClients
from relay.clients.turns import Turns
from relay.clients.unfinished_messages import UnfinishedMessages
from relay.clients.write_timeouts import WriteTimeouts
from relay.limits.meter import SendingRates
from relay.message import Message
from relay.metrics.counters import Counters
from relay.namespaces import Namespaces, SlowConsumerPolicy
from relay.node import Node

READ_BUFFER_BYTES = 16 * 1024

CLOSE_TIMEOUT_SECONDS = 5.0
"""How long a client may take to answer a close frame, or to take in the rest of what it was sent."""

websockets_logger = logging.getLogger("relay.websockets")
# Below warnings the library would log a line for each connection that ends.
websockets_logger.setLevel(logging.WARNING)


@dataclass(slots=True, eq=False)
class Context:
    """State and limits that clients need, looked up without going through the settings each time.

    Args:
        node: hub and broker.
        counters: where everything is counted.
        registry: who is connected.
        keepalive: pings all clients.
        write_timeouts: watches the clients that don't take what is written.
        turns: gives turns to the clients that have more frames than others.
        throttled: the clients that have sent more than they may.
        unfinished: watches the clients that have sent a part of a message.
        missed_messages: tells clients that they may have missed messages.
        presence_watchers: the clients that hear who comes and who goes.
        loop: the event loop that all of this runs on.
        max_message_bytes: of a client's message.
        sending: what a client may send.
        send_buffer_bytes: that may wait for a client.
        slow_consumer: what happens to a client for which more waits, where its channel's namespace says nothing.
        namespaces: the options of channels.
        write_timeout: seconds after which a client that takes nothing is dropped.
        close_timeout: seconds that a client has to answer a close frame, or to take in the rest of what it was sent.
        welcome: the message with which clients are welcomed; None: there is none.
        emulated_streams: those whose clients speak by requests of their own.
        read_buffer: one for all: what is read is parsed before the next read. It also bounds how much of one client is
            taken in before others have their turn.
    """

    node: Node
    counters: Counters
    registry: Registry
    keepalive: Keepalive
    write_timeouts: WriteTimeouts
    turns: Turns
    throttled: ThrottledClients
    unfinished: UnfinishedMessages
    missed_messages: MissedMessages
    presence_watchers: PresenceWatchers
    loop: asyncio.AbstractEventLoop
    max_message_bytes: int
    sending: SendingRates
    send_buffer_bytes: int
    slow_consumer: SlowConsumerPolicy
    namespaces: Namespaces
    write_timeout: float
    close_timeout: float
    welcome: Message | None
    emulated_streams: EmulatedStreams = field(default_factory=EmulatedStreams)
    read_buffer: memoryview = field(default_factory=lambda: memoryview(bytearray(READ_BUFFER_BYTES)))

    def slow_policy(self, channel: str | None) -> SlowConsumerPolicy:
        """Return what happens to a client that takes less than it is sent.

        Args:
            channel: its only one; None: it may have several. What waits may be of any of them, also of one with a
                history, where nothing would tell of a hole.
        """
        if channel is None:
            return "close"
        return self.namespaces.options(channel).slow_policy(self.slow_consumer)
