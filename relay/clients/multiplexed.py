"""A WebSocket with any number of channels."""

from __future__ import annotations

import asyncio
from typing import cast

from relay.clients.command_turns import CommandTurns
from relay.clients.context import Context
from relay.clients.multiplexed_client import MultiplexedClient, PendingWrites
from relay.clients.session import Session
from relay.clients.websocket import WebSocket
from relay.errors import PublishError
from relay.protocols.frame import masked_frame
from relay.protocols.multiplexed import MultiplexedProtocol


class MultiplexedWebSocket(MultiplexedClient, WebSocket, CommandTurns):
    """A client of several channels."""

    __slots__ = ("_pending",)

    def __init__(self, context: Context, session: Session) -> None:
        super().__init__(context, session)
        self._pending = PendingWrites()

    def take_over(self, transport: asyncio.Transport, response: bytes, received: bytes) -> None:
        """Begin; see `Client`. What the client has said with its request counts as its first message."""
        first = cast(MultiplexedProtocol, self.session.protocol).first
        super().take_over(transport, response, masked_frame(first) + received if first else received)

    def _begin(self, transport: asyncio.Transport, response: bytes) -> None:
        """Take a place everywhere; what comes first is written at the end of the tick; see `Client`.

        Many clients come in one tick. One write right behind the other wakes a receiver on this machine once, where
        one write for each handshake wakes it each time: 10 of 120 µs until a client is subscribed.
        """
        self.deliver(response + self._join(transport), 0)

    @property
    def takes_turns(self) -> bool:
        """Whether something that was read of it waits for its turn; see `Closable`."""
        return (self._due and self._reader.open) or super().takes_turns

    def take_turn(self) -> None:
        """Let the protocol go on when it is its turn; see `CommandTurns`."""
        self._context.turns.add(self)

    def count(self, messages: int) -> None:
        """Count what it has sent as so many more messages."""
        self._reader.count(messages, 0)

    def go_on(self) -> int:
        """Let the protocol go on, or take in what has waited; see `Waiting`."""
        return self._give_turn() if self._due else super().go_on()

    def resume_publishing(self) -> None:
        """Let the protocol go on, if it was held up by the bus; read again when nothing is left to it."""
        if not self._reader.open or not self._protocol_waits:
            super().resume_publishing()
        elif self._due:
            self._context.turns.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave everything; called by the event loop. What is left to the protocol has its turns first."""
        cast(MultiplexedProtocol, self.session.protocol).writable()  # nothing is to be taken any more
        if self._due:
            self._context.turns.add(self)  # it may have waited for the bus
        super().connection_lost(exc)

    def ping(self) -> None:
        """Send a ping behind what the tick has brought: the answer that tells the client of pings may be among it."""
        self.write_gathered()
        super().ping()

    def answer(self, pongs: bytes) -> None:
        """Write pongs, behind what completes the handshake; see `WebSocket`."""
        self.write_gathered()
        super().answer(pongs)

    def flush_protocol(self) -> None:
        """Write what the library wants to say, behind what completes the handshake; see `WebSocket`."""
        self.write_gathered()
        super().flush_protocol()

    def publish_failed(self, error: PublishError) -> None:
        """Stay open: the outcome of each message was told to the protocol; see `Session.publish`.

        Nothing of this client waits for the bus any more, so it can go on, unless others use up what clients may have.
        Not at once, see `Node.writable`.
        """
        if not self._reader.open:
            super().publish_failed(error)
        elif self.paused and not self._context.node.congested:
            self._context.node.forget(self)
            self._context.loop.call_soon(self.resume_publishing)

    def _may_send(self) -> bool:
        """Return whether the protocol may go on.

        Not while the bus takes no more, or beyond the client's rates.
        """
        node = self._context.node
        if not node.congested:
            return self._reader.muted or not self._is_held()
        if self._transport is not None:
            node.pause(self)
            return False
        WebSocket._end_reading(self)  # no code waits for what is left
        return False

    def _is_held(self) -> bool:
        """Return whether it has sent more than it may; then it goes on when it may."""
        meter = self._reader.meter
        if meter is None or meter.messages_left > 0:
            return False
        hold = meter.renew(self._context.loop.time())
        if hold is not None:
            self._context.throttled.hold(self, meter, hold)
        return hold is not None

    def _give_turn(self) -> int:
        """Let the protocol go on; of a client that has left, until it waits for an answer: it will get none."""
        taken = super()._give_turn()
        if self._transport is None and (self._protocol_waits or not self._reader.waiting):
            self._end_reading()
        return taken

    def _end_reading(self) -> None:
        """Let go of everything that was read, unless something of it is left to the protocol."""
        if not self._due:
            super()._end_reading()
