"""A client with a socket: its way out, its places in the hub and on the keepalive wheel, and its end."""

from __future__ import annotations

import abc
import asyncio
from typing import cast

from msgspec.structs import replace

from relay.brokers.shares import Share
from relay.clients.context import Context
from relay.clients.held import Held
from relay.clients.session import Session
from relay.errors import CustomDisconnect, Disconnect, PublishError
from relay.fan_out.direct_socket import Descriptors
from relay.fan_out.direct_subscriber import DirectSubscriber
from relay.message import Encoder
from relay.namespaces import SlowConsumerPolicy
from relay.position import Position
from relay.protocols import SingleChannelProtocol

HIGH_WATER_BYTES = 64 * 1024
LOW_WATER_BYTES = 16 * 1024


class Client(asyncio.BufferedProtocol, DirectSubscriber, abc.ABC):
    """A client from the end of its handshake to the end of its socket.

    The transport says when it is full; there is no check per write. What comes then is kept, up to the limit per
    client; beyond it the policy for slow consumers decides. With `latest` only the newest message is kept. What it gets
    first, of the messages before, doesn't count while it is on its way: it can be more than a socket takes at once. Nor
    does one write that alone is more than the limit, and the messages of one fan-out may always wait behind it: as a
    string of JSON a message can be six times as long as its payload, and a client that reads is not slow for that.

    Args:
        context: what all clients share.
        session: the client's.

    Attributes:
        slot: see `Pingable`.
    """

    __slots__ = ("_close_timer", "_context", "_held", "_large", "session", "slot")

    share = Share.CLIENTS

    def __init__(self, context: Context, session: Session) -> None:
        super().__init__()
        self._context = context
        # What waits while the transport is full; None while it isn't.
        self._held: Held | None = None
        # Whether the transport still has too much of what may be more than the limit: what comes first, a fan-out or a
        # long answer. It isn't counted then; only what waits here is.
        self._large = False
        self._close_timer: asyncio.TimerHandle | None = None
        self.session = session
        self.slot = -1

    # What the hub asks; see `Subscriber`.

    @property
    def id(self) -> bytes:
        """16 bytes, unique over all gateways; the origin of its messages."""
        return self.session.id

    @property
    def echo(self) -> bool:
        """Whether it gets its own messages back."""
        return self.session.protocol.echo

    @property
    def encode(self) -> Encoder:
        """Encoder of its protocol."""
        return self.session.protocol.encode

    def deliver(self, data: bytes, count: int) -> None:
        """Write messages."""
        held = self._held
        if held is None:
            self._write(data)
        else:
            self._hold(held, data, count)

    def missed(self, channel: str, position: Position | None) -> None:
        """Tell the client as its protocol does, or close it when its turn has come; see `Subscriber`."""
        told = self.session.protocol.missed(self.session, channel, position)
        if isinstance(told, Disconnect):
            self._context.missed_messages.close(self, told)
        elif told:
            self.send(told)

    def open_directly(self, descriptors: Descriptors) -> int:
        """Let nothing be written past messages that wait here; see `DirectSubscriber`."""
        descriptor = super().open_directly(descriptors)
        if self._held is not None:
            self._withhold()
        return descriptor

    # What sessions, the registry and background work call.

    @abc.abstractmethod
    def take_over(self, transport: asyncio.Transport, response: bytes, received: bytes) -> None:
        """Take over a socket whose handshake is in order; its messages are delivered from now on.

        Args:
            transport: of the socket; its reading is paused.
            response: what completes the handshake.
            received: what the client has sent after its request already.
        """

    @abc.abstractmethod
    def close(self, why: Disconnect | CustomDisconnect) -> None:
        """Begin to end it, as its protocol says it; nothing happens when it is ending already."""

    @abc.abstractmethod
    def ping(self) -> None:
        """See `Pingable`."""

    @abc.abstractmethod
    def check_heard(self) -> None:
        """See `Pingable`."""

    def send(self, data: bytes) -> None:
        """Write bytes that are no messages, in order with these."""
        self.deliver(data, 0)

    @property
    def takes_turns(self) -> bool:
        """See `Closable`; a client that only listens has none."""
        return False

    def prepare_to_close(self) -> bool:
        """See `Connected`; a client that only listens has nothing to be published."""
        return True

    def expire(self) -> None:
        """End it, as its right is over; see `Connected`."""
        self.close(Disconnect.TOKEN_EXPIRED)

    def refresh(self, expires_at: float | None) -> None:
        """Give it another end; see `Connected`."""
        self._context.registry.refresh(self, replace(self.session.identity, expires_at=expires_at))

    def abort(self) -> None:
        """Drop the socket at once."""
        self._leave()
        super().abort()

    def publish_failed(self, error: PublishError) -> None:
        """See `Source`; a client that only listens has published nothing."""

    def pause_publishing(self) -> None:
        """See `PausableSource`; a client that only listens publishes nothing."""

    def resume_publishing(self) -> None:
        """See `PausableSource`."""

    @property
    def buffered(self) -> int:
        """Bytes that wait for the client."""
        return self.stuck + (0 if self._held is None else self._held.bytes)

    @property
    def stuck(self) -> int:
        """Bytes that the transport could not get rid of; when it stays the same, the client reads nothing."""
        return 0 if self._transport is None else self._transport.get_write_buffer_size()

    # What the transport calls.

    def get_buffer(self, sizehint: int) -> memoryview:
        """Lend the buffer that all clients share."""
        return self._context.read_buffer

    def pause_writing(self) -> None:
        """Keep further messages here; called by the transport when it is full."""
        self._held = Held()
        self._withhold()
        self._context.write_timeouts.add(self)
        if self.stuck > self._context.send_buffer_bytes:
            # Of one write: before it, the transport had room.
            self._large = True

    def resume_writing(self) -> None:
        """Write what was kept; called by the transport when it has room again."""
        self._context.write_timeouts.discard(self)
        self._large = False  # the next line may write what sets it again
        self._write_held()

    # Its beginning and its end.

    def _begin(self, transport: asyncio.Transport, response: bytes) -> None:
        """Take a place everywhere, and write what comes first; the hub delivers from now on.

        Args:
            transport: of the socket.
            response: what completes the handshake.
        """
        first = response + self._join(transport)
        self._large = True
        transport.write(first)
        self._large = self._held is not None

    def _join(self, transport: asyncio.Transport) -> bytes:
        """Take a place everywhere; return what is written first, in this step."""
        context = self._context
        self._connect(transport)
        high = min(HIGH_WATER_BYTES, context.send_buffer_bytes)
        transport.set_write_buffer_limits(high, min(LOW_WATER_BYTES, high))
        session = self.session
        context.registry.join(self)
        replay = session.join(self)
        context.keepalive.add(self)
        protocol = session.protocol
        opened = protocol.opened(session, context.welcome)
        if protocol.presence is not None and protocol.channel is not None:
            opened += context.presence_watchers.add(self, protocol.channel, protocol.presence)
        if replay is None and not protocol.resume:
            return opened
        if replay is not None and not isinstance(protocol.resume, Position):
            replay = replay.cut(context.send_buffer_bytes)  # without a position nothing says that it gets all
        return opened + protocol.resumed(session, replay)

    def _leave(self) -> None:
        """End all subscriptions."""
        if self.session.leave():
            self._context.keepalive.remove(self)
            self._context.missed_messages.discard(self)
            protocol = self.session.protocol
            if protocol.presence is not None and protocol.channel is not None:
                self._context.presence_watchers.discard(self, protocol.channel, protocol.presence)

    def _abort_later(self) -> None:
        """Give a client that is being closed some time, once."""
        if self._close_timer is None:
            self._close_timer = self._context.loop.call_later(self._context.close_timeout, self.abort)

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
        context.registry.leave(self, code)
        context.write_timeouts.discard(self)
        self._disconnect()
        self._held = None

    # What waits while the transport is full.

    @property
    def _slow_policy(self) -> SlowConsumerPolicy:
        """What happens when it takes less than it is sent."""
        return self._context.slow_policy(self.session.protocol.channel)

    def _hold(self, held: Held, data: bytes, count: int) -> None:
        """Keep messages while the transport is full, as the policy for slow consumers says."""
        context = self._context
        policy = self._slow_policy
        waiting = held.bytes if self._large else self.buffered
        if count and policy == "latest":
            newest = cast(SingleChannelProtocol, self.session.protocol).newest(data)
            before = held.conflate(newest)
            context.counters.deliveries_conflated += count - 1 + (before is not None)
            context.counters.bytes_dropped += len(data) - len(newest) + (before or 0)
        elif (count and not held) or waiting + len(data) <= context.send_buffer_bytes:
            held.add(data, count)
        else:
            context.counters.count_dropped("closed" if policy == "close" else "skipped", count, len(data))
            # A policy that lets a client miss messages doesn't let it miss answers.
            if not count or policy == "close":
                self.close(Disconnect.SLOW_CONSUMER)

    def _drop_held(self) -> None:
        """Forget what waits, so that the end comes right behind what the transport has already."""
        if self._held is not None:
            self._context.counters.count_dropped("closed", self._held.messages, self._held.message_bytes)
            self._held.clear()

    def _release_held(self) -> None:
        """Write everything that waits, so that the end comes behind it."""
        self._write_held()

    def _write_held(self) -> None:
        """Write what waits here, whatever the transport holds already."""
        held, self._held = self._held, None
        if held:
            self._write(held.take())
