"""A stream whose client speaks by requests of their own, which any gateway may have got."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from relay.clients.context import Context
from relay.clients.multiplexed_stream import MultiplexedStream
from relay.clients.session import Session
from relay.errors import CustomDisconnect, Disconnect, PublishError
from relay.limits.meter import Meter

MOST_WAITING: Final = 256
"""Requests of a client that may wait. A well-behaved one waits for its answers."""


class EmulatedStream(MultiplexedStream):
    """A client of several channels that speaks.

    What it says is carried out in the order in which it arrives. It waits while the client's protocol or the bus takes
    no more, or while the client has sent more than it may; nothing can be left in a socket then, so when too much waits
    the client is closed.

    Args:
        context: what all clients share.
        session: the client's.

    Attributes:
        heard: whether anything has come since the last ping.
        paused: whether it waits for its protocol, or for the bus.
    """

    __slots__ = ("_leaving", "_meter", "_throttled", "_waiting", "_waiting_bytes", "heard", "paused")

    def __init__(self, context: Context, session: Session) -> None:
        super().__init__(context, session)
        # None while nothing waits.
        self._waiting: deque[bytes] | None = None
        self._waiting_bytes = 0
        # Of what it sends; None: it has sent nothing.
        self._meter: Meter | None = None
        # Whether it has sent more than it may.
        self._throttled = False
        # Whether nothing more is taken in, until it is closed.
        self._leaving = False
        self.heard = True
        self.paused = False

    def take_over(self, transport: asyncio.Transport, response: bytes, received: bytes) -> None:
        """Begin; see `Client`. From now on requests find the client."""
        super().take_over(transport, response, received)
        if self.session.open:
            self._context.emulated_streams.add(self._spoken.token, self)

    def take_in(self, payload: bytes) -> None:
        """Take what the client says, now or in its turn; see `EmulatedClient`."""
        if self._leaving or not self.session.open:
            return
        self.heard = True
        if self._waiting is None and self._may_go_on():
            self._carry_out_counted(payload)
            return
        if not self.session.open:
            return  # it has sent more than it may for too long
        waiting = self._waiting = self._waiting or deque()
        most_bytes = max(self._context.max_message_bytes, self._context.send_buffer_bytes)
        if len(waiting) >= MOST_WAITING or self._waiting_bytes + len(payload) > most_bytes:
            self.fail(Disconnect.BYTE_RATE)
            return
        waiting.append(payload)
        self._waiting_bytes += len(payload)

    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """End the stream, and forget what waits; see `EventStream`."""
        self._forget_waiting()
        super().close(why)

    def prepare_to_close(self) -> bool:
        """Take in nothing more; return whether nothing is left to be published. What is said now gets no answer."""
        self._leaving = True
        return self._waiting is None and not self._protocol_waits

    @property
    def takes_turns(self) -> bool:
        """Whether something that it has said waits for its turn; see `Closable`."""
        return self._due and self.session.open

    # What keepalive calls.

    def ping(self) -> None:
        """Write a ping, unless an answer could not get through anyway."""
        if self._held is None and not self.paused and not self._throttled:
            self.write_gathered()  # the reply to `connect` may be among it, before which the client knows of no pings
            self.heard = not self._write_heartbeat()

    def check_heard(self) -> None:
        """Close a client that has said nothing since its last ping; while nothing is taken in, its pong may wait."""
        if not self.heard and self._held is None and not self.paused and not self._throttled:
            self.close(Disconnect.KEEPALIVE_TIMEOUT)

    # What the node calls on a publisher, and the protocol.

    def pause_publishing(self) -> None:
        """Take in nothing for now; see `PausableSource`."""
        self.paused = self.session.open

    def resume_publishing(self) -> None:
        """Take in what waits; see `PausableSource`."""
        if self._protocol_waits:
            if self._due:
                self._context.turns.add(self)  # it was held up by the bus
        elif self.paused:
            self.paused = False
            self.heard = True  # its pong may have waited; the next ping will tell
            self._take_waiting()

    def publish_failed(self, error: PublishError) -> None:
        """Stay open: the outcome of each message was told to the protocol; see `MultiplexedWebSocket`."""
        if self.paused and not self._context.node.congested:
            self._context.node.forget(self)
            self._context.loop.call_soon(self.resume_publishing)

    # What limits its rates; see `ThrottledClient`.

    def pause_reading(self) -> None:
        """Take in nothing until `go_on`."""
        self._throttled = True

    def go_on(self) -> int:
        """Let the protocol go on, or take in what waits; see `Waiting`."""
        self._throttled = False
        self.heard = True
        return self._give_turn() if self._due else self._take_waiting()

    def count(self, messages: int) -> None:
        """Count what it has sent as so many more messages."""
        self._metered().messages_left -= messages

    # What the transport calls.

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave everything; called by the event loop."""
        self._forget_waiting()
        super().connection_lost(exc)

    def _leave(self) -> None:
        """End all subscriptions; requests find the client no more."""
        self._context.emulated_streams.discard(self._spoken.token)
        super()._leave()

    def _take_waiting(self) -> int:
        """Carry out what waits, as far as it may; return how much it was."""
        taken = 0
        while (waiting := self._waiting) and self._may_go_on():
            payload = waiting.popleft()
            self._waiting_bytes -= len(payload)
            self._carry_out_counted(payload)
            taken += 1
        if not self._waiting:
            self._waiting = None
        return taken

    def _carry_out_counted(self, payload: bytes) -> None:
        meter = self._metered()
        meter.messages_left -= 1
        meter.bytes_left -= len(payload)
        self._carry_out(payload)

    def _may_go_on(self) -> bool:
        """Return whether the next message may be carried out now; else something will call `_take_waiting`."""
        return not self.paused and not self._throttled and self._may_send()

    def _may_send(self) -> bool:
        """Return the same of what is left to its protocol, for which it is paused."""
        context = self._context
        if not self.session.open:
            return False
        if context.node.congested:
            context.node.pause(self)  # before the next message, not with it; see `WebSocket`
            return False
        meter = self._metered()
        if meter.messages_left > 0 and meter.bytes_left > 0:
            return True
        hold = meter.renew(context.loop.time())
        if hold is not None:
            context.throttled.hold(self, meter, hold)
        return hold is None

    def _metered(self) -> Meter:
        if self._meter is None:
            self._meter = Meter(self._context.sending, self._context.loop.time())
        return self._meter

    def _forget_waiting(self) -> None:
        self._leaving = True
        self._waiting, self._waiting_bytes = None, 0
        self.paused = self._throttled = False
        self._context.node.forget(self)
        self._context.throttled.release(self)
