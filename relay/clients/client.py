"""A client that has come in: its places in the hub, on the keepalive wheel and in the counts."""

from __future__ import annotations

import abc
import asyncio

from relay.auth.authenticator import Identity
from relay.clients.context import Context
from relay.clients.outgoing import Outgoing
from relay.hub import Encoder
from relay.logs import Logger
from relay.node import Interest

CLOSE_TIMEOUT_SECONDS = 5.0
"""How long a client may take to answer a close frame, or to take in the rest of what it was sent."""

log = Logger("relay.gateway")


class Member(Outgoing):
    """A client of one channel, from the end of its handshake to the end of its socket.

    Args:
        context: what all connections share.
        channel: the channel that it listens to.
        echo: whether it gets its own messages back.
        identity: who it is.
        interest: its claim on the channel; released when it leaves.
    """

    __slots__ = ("_close_timer", "_interest", "channel", "echo", "id", "identity", "slot")

    def __init__(self, context: Context, channel: str, echo: bool, identity: Identity, interest: Interest) -> None:
        super().__init__(context)
        self._interest: Interest | None = interest
        self._close_timer: asyncio.TimerHandle | None = None
        self.id = context.node.new_id()
        self.channel = channel
        self.echo = echo
        self.identity = identity
        self.slot = -1

    @property
    @abc.abstractmethod
    def encode(self) -> Encoder:
        """Encoder of its wire format; see `Subscriber`."""

    @abc.abstractmethod
    def open(self, transport: asyncio.Transport, response: bytes, received: bytes) -> None:
        """Take over a socket whose subscription the bus has acknowledged.

        Args:
            transport: of the socket; its reading is paused.
            response: what completes the handshake.
            received: what the client has sent after its request already.
        """

    @abc.abstractmethod
    def ping(self) -> None:
        """See `Pingable`."""

    @abc.abstractmethod
    def check_heard(self) -> None:
        """See `Pingable`."""

    def prepare_to_close(self) -> bool:
        """See `Closable`; one that only listens has nothing to be published."""
        return True

    def abort(self) -> None:
        """Drop the socket at once."""
        self._leave()
        super().abort()

    @property
    def _open(self) -> bool:
        """Whether the client has not begun to leave."""
        return self._interest is not None

    def _join(self, transport: asyncio.Transport) -> None:
        """Take a place everywhere; the hub delivers from now on."""
        context = self._context
        self._attach(transport)
        context.connections.add(self)
        context.empty.clear()
        context.counters.connections_open += 1
        context.counters.connections_accepted += 1
        context.node.hub.add(self.channel, self)
        context.keepalive.add(self)

    def _leave(self) -> None:
        """Be delivered to no more, and give back the claim on the channel."""
        if self._interest is not None:
            interest, self._interest = self._interest, None
            self._context.node.hub.remove(self.channel, self)
            self._context.keepalive.remove(self)
            self._context.node.release(interest)

    def _abort_later(self) -> None:
        """Give a client that is being closed some time, once."""
        if self._close_timer is None:
            self._close_timer = self._context.loop.call_later(CLOSE_TIMEOUT_SECONDS, self.abort)

    def _gone(self, code: int) -> None:
        """Leave everything, and let go of what would keep this object alive: the socket has ended.

        Args:
            code: why, as a WebSocket close code.
        """
        context = self._context
        self._leave()
        if self._close_timer is not None:
            self._close_timer.cancel()
            self._close_timer = None
        context.connections.discard(self)
        if not context.connections:
            context.empty.set()
        context.counters.connections_open -= 1
        context.counters.connections_closed[code] += 1
        log.debug("disconnected", channel=self.channel, user=self.identity.user, code=code)
        self._detach()
