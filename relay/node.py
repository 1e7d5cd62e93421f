"""One gateway as the bus sees it: the hub, the broker, and the subscriptions between them."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Collection

from relay.brokers import BrokerOptions, BusState, Published, Receipt, Source, load_broker
from relay.brokers.block_store import BlockStore
from relay.brokers.submission import Submission
from relay.channel import EVENTS
from relay.hub import Handler, Hub
from relay.interest import Acknowledged, Interest
from relay.limits.channels import DEFAULT_CHANNELS, ChannelLimits
from relay.logs import Logger
from relay.message import Message, PositionedMessage
from relay.metrics.counters import Counters
from relay.paused_sources import PausableSource, PausedSources
from relay.presence.presences import Presences
from relay.presence.present_members import PresentMembers
from relay.recovery.recoveries import Recoveries
from relay.subscribers import FanOut

UNSUBSCRIBE_DELAY_SECONDS = 1.0

log = Logger("relay.node")


class Node:
    """Hub and broker of one gateway. Everything from the bus link to the sockets is synchronous.

    Args:
        options: of the broker.
        counters: where everything is counted.
        write_delay: seconds that must pass between two fan-outs; 0: one at the end of each tick. The first
            message after a quiet interval always goes out at once.
        unsubscribe_delay: seconds from the last client's leaving a channel to unsubscribing from the bus, so that
            flapping clients never reach it.
        channels: how many channels one client may have.
        fan_out: writes to many clients at once; None: each writes for itself.

    Attributes:
        clock: returns loop time, in seconds.
        history: the histories of the bus.
        recoveries: the channels whose messages have positions.
        presences: this gateway's clients on the channels with presence.
        present: who is on a channel.
        congested: whether the bus takes no more messages of clients now. A client that has sent one then must be
            paused with `pause`, and must keep what was read of it until it is told to resume.
        channel_limits: how many channels one client may have.
        subscribe_timeout: seconds for which a client waits for the bus to acknowledge a subscription.
    """

    def __init__(
        self,
        options: BrokerOptions,
        counters: Counters,
        *,
        write_delay: float = 0.0,
        unsubscribe_delay: float = UNSUBSCRIBE_DELAY_SECONDS,
        channels: ChannelLimits = DEFAULT_CHANNELS,
        fan_out: FanOut | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._id = secrets.token_bytes(8)
        self.clock: Callable[[], float] = self._loop.time
        self.channel_limits = channels
        self.counters = counters
        self.hub = Hub(counters, self._schedule_flush, fan_out)
        # The broker calls it for each message, which is fanned out at the end of the tick.
        self.receive: Callable[[Message], None] = self.hub.receive
        self._broker = load_broker(options, self, counters)
        self.history = self._broker.history
        self.presence = self._broker.presence
        self.recoveries = Recoveries(
            options.namespaces,
            self.history,
            self.hub,
            counters,
            self._tell_missed,
            options.timeout / 2,
            longest_pause=options.timeout / 2,
        )
        self.receive_positioned: Callable[[PositionedMessage], None] = self.recoveries.receive
        self.presences = Presences(
            options.namespaces,
            self.presence,
            counters,
            options.presence_ttl,
            lambda channel: self._tell_missed((EVENTS + channel,)),
        )
        self.present = PresentMembers(self.presence, self.presences, self._id)
        self._write_delay = write_delay
        self._unsubscribe_delay = unsubscribe_delay
        self.subscribe_timeout = options.timeout
        self._flushed_at = 0.0
        self._interests: dict[str, Interest] = {}
        self.congested = False
        self._paused = PausedSources(self._full)
        self._missed_watchers: list[Callable[[Collection[str]], None]] = []
        self._numbers = itertools.count(1)

    async def start(self) -> None:
        """Begin to connect to the bus; does not wait for it."""
        await self._broker.start()

    async def drain(self) -> None:
        """Publish all messages that were accepted, and deliver those that were received."""
        await self._broker.drain()
        self.hub.flush()

    async def stop(self) -> None:
        """Leave the bus at once."""
        await self.recoveries.stop()
        await self._broker.stop()
        for interest in self._interests.values():
            if interest.unsubscribing is not None:
                interest.unsubscribing.cancel()

    @property
    def problems(self) -> list[str]:
        """Why messages don't get through the bus, as sentences; empty when they do."""
        return self._broker.problems

    @property
    def channels(self) -> int:
        """Number of channels that have clients."""
        return len(self.hub)

    @property
    def bus(self) -> BusState:
        """The current numbers of the bus."""
        return self._broker.state

    @property
    def block_store(self) -> BlockStore:
        """Where the bus keeps which users are blocked; see `Broker.block_store`."""
        return self._broker.block_store

    @property
    def counts_all_receivers(self) -> bool:
        """Whether `Published.receivers` counts all gateways; see `Broker.counts_all_receivers`."""
        return self._broker.counts_all_receivers

    @property
    def paused_publishers(self) -> int:
        """Number of publishers that are paused until the bus takes more."""
        return len(self._paused)

    @property
    def interests(self) -> int:
        """Number of channels that are, or are about to be, subscribed to on the bus for clients."""
        return len(self._interests)

    @property
    def id(self) -> bytes:
        """8 random bytes; the ids of this gateway's connections begin with them."""
        return self._id

    def new_id(self) -> bytes:
        """Return an id for a connection: 16 bytes, unique over all gateways."""
        return self._id + next(self._numbers).to_bytes(8, "big")

    def claim(self, channel: str) -> tuple[Interest, Acknowledged]:
        """Subscribe to a channel of the bus for one client.

        Returns:
            The interest, for `release`, and a future that is done when the bus has acknowledged: add the subscriber
            to the hub then, not before. It fails with `SubscribeError` when the bus refuses. It is shared: wait for it
            with `Interest.wait`. Where the interest is `positioned`, ask `recoveries.prepare` before.
        """
        acknowledged = self._broker.subscribe(channel)
        interest = self._interests.get(channel)
        if interest is None:
            positioned, present = self.recoveries.covers(channel), self.presences.covers(channel)
            interest = self._interests[channel] = Interest(channel, positioned=positioned, present=present)
        elif interest.unsubscribing is not None:
            interest.unsubscribing.cancel()
            interest.unsubscribing = None
        interest.claims += 1
        if interest.positioned:
            self.recoveries.claimed(channel, acknowledged)
        return interest, acknowledged

    def release(self, interest: Interest) -> None:
        """End the claim of one client. Some time after the last one, the bus is unsubscribed from."""
        interest.claims -= 1
        if not interest.claims:
            interest.unsubscribing = self._loop.call_later(self._unsubscribe_delay, self._unsubscribe, interest)

    def publish(self, message: Message, source: PausableSource, receipt: Receipt | None = None) -> None:
        """Give a message to the bus, and pause the source when the bus takes no more now; see `Broker.publish`."""
        if not self._broker.publish(message, source, receipt):
            self.congested = self._broker.congested
            self._paused.add(source)

    def pause(self, source: PausableSource) -> None:
        """Pause a source until the bus takes more."""
        self._paused.add(source)

    def _full(self) -> bool:
        """Return whether paused sources should wait, as those do that publish as fast as they can."""
        return self.congested or self._holds_back()

    def _holds_back(self) -> bool:
        """Return whether sources that publish as fast as they can should wait; see `Broker.hold_back`.

        Not while the bus is away: then the messages that they have kept must get their turn to fail.
        """
        return self._broker.hold_back() and not self._broker.problems

    def hold_back(self, source: PausableSource) -> None:
        """Pause a source that publishes as fast as it can, if it would slow down the others; see `Broker.hold_back`."""
        if self._holds_back():
            self._paused.add(source, held_back=True)

    def submit(
        self, message: Message, source: Source | None = None, idempotency_key: str | None = None
    ) -> asyncio.Future[Published]:
        """Give a message to the bus, and return a future of its outcome.

        Args:
            message: the message.
            source: the publisher of later messages that must not overtake this one when it fails; None: there are none.
            idempotency_key: see `Broker.publish`.

        Returns:
            A future of what the bus says of it; it fails with `PublishError`. It may be ignored.
        """
        submission = Submission(self._loop.create_future())
        self._broker.publish(message, submission if source is None else source, submission.settle, idempotency_key)
        return submission.published

    def unsettled(self) -> set[Source]:
        """Return the sources of all messages that the bus has not acknowledged yet."""
        return self._broker.unsettled()

    def listen(self, channel: str, handler: Handler) -> asyncio.Future[None]:
        """Subscribe to a channel of the relay's own for as long as this node lives; see `Hub.listen`.

        Returns:
            A future that is done when the bus has acknowledged; it fails with `SubscribeError`.
        """
        self.hub.listen(channel, handler)
        return self._broker.subscribe(channel)

    def forget(self, source: PausableSource) -> None:
        """Forget a source that has left. Messages that it has published stay on their way."""
        self._paused.discard(source)

    def watch_missed(self, watcher: Callable[[Collection[str]], None]) -> None:
        """Call a function with channels whose subscribers may have missed messages, for as long as this node lives.

        After a gap of the bus these are the channels without positions. Those with positions follow when it has turned
        out that messages are missing which can't be had: so most gaps leave them out. Behind `EVENTS` stand channels of
        which it may have been missed who has come and who has gone.

        All messages that were received before have been delivered by then. It must not raise.
        """
        self._missed_watchers.append(watcher)

    def gap(self, channels: Collection[str], seconds: float) -> None:
        """Count, log and pass on that messages may have been missed; see `Sink.gap`."""
        self.counters.gaps += 1
        self.counters.gap_channels += len(channels)
        log.warning("gap", channels=len(channels), seconds=round(seconds, 3))
        self.hub.flush()
        without_positions = [channel for channel in channels if not self.recoveries.gap(channel)]
        if without_positions:
            self._tell_missed(without_positions)

    def writable(self) -> None:
        """Let the paused sources go on one after the other, as long as the bus takes more; see `Sink.writable`."""
        self.congested = False
        self._paused.resume()

    def _tell_missed(self, channels: Collection[str]) -> None:
        for watcher in self._missed_watchers:
            watcher(channels)

    def _unsubscribe(self, interest: Interest) -> None:
        interest.unsubscribing = None  # the two hold each other
        del self._interests[interest.channel]
        if interest.positioned:
            self.recoveries.closed(interest.channel)
        self._broker.unsubscribe(interest.channel)

    def _schedule_flush(self) -> None:
        if not self._write_delay or (due := self._flushed_at + self._write_delay) <= self._loop.time():
            self._loop.call_soon(self._flush)
        else:
            self._loop.call_at(due, self._flush)

    def _flush(self) -> None:
        if self._write_delay:
            self._flushed_at = self._loop.time()
        self.hub.flush()
