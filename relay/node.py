"""One gateway as the bus sees it: the hub, the broker, and the subscriptions between them."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol

from relay.brokers import BrokerOptions, BusState, Delivery, Receipt, Source, load_broker
from relay.brokers.shares import Share
from relay.errors import PublishError
from relay.hub import Handler, Hub
from relay.logs import Logger
from relay.message import Message
from relay.metrics.counters import Counters

UNSUBSCRIBE_DELAY_SECONDS = 1.0

RESUMED_PER_TURN = 64
"""How many paused publishers go on before others have their turn: each may have messages in its hands."""

log = Logger("relay.node")


@dataclass(slots=True)
class Interest:
    """This gateway's claim on one channel of the bus, shared by all clients that want it.

    Args:
        channel: name of the channel.
        holders: clients that are subscribed or about to be.
        release: timer of the delayed unsubscribe; None while somebody holds the interest.
    """

    channel: str
    holders: int = 0
    release: asyncio.TimerHandle | None = field(default=None, repr=False)


class Node:
    """Hub and broker of one gateway. Everything from the bus reader to the sockets is synchronous.

    Args:
        options: where the bus is and how it is used.
        counters: where everything is counted.
        write_delay: seconds that must pass between two fan-outs; 0: one at the end of each tick. The first
            message after a quiet spell always goes out at once.
        unsubscribe_delay: seconds from the last client's leaving a channel to telling the bus, so that
            flapping clients never reach it.

    Attributes:
        congested: whether the bus takes no more of clients for now. A client that has sent something then must be
            paused with `pause`, and what was read of it stays with it until it is told to resume.
        subscribe_timeout: seconds for which a client waits for the bus to acknowledge a subscription.
    """

    def __init__(
        self,
        options: BrokerOptions,
        counters: Counters,
        *,
        write_delay: float = 0.0,
        unsubscribe_delay: float = UNSUBSCRIBE_DELAY_SECONDS,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.counters = counters
        self.hub = Hub(counters, self._schedule_flush)
        # Called by the broker for each message: fanned out at the end of the tick.
        self.receive: Callable[[Message], None] = self.hub.receive
        self._broker = load_broker(options, self, counters)
        self._write_delay = write_delay
        self._unsubscribe_delay = unsubscribe_delay
        self.subscribe_timeout = options.timeout
        self._flushed_at = 0.0
        self._interests: dict[str, Interest] = {}
        self.congested = False
        # The source that was paused first goes on first.
        self._paused: OrderedDict[PausableSource, None] = OrderedDict()
        self._to_resume = 0
        self._resuming: asyncio.Handle | None = None
        self._gap_watchers: list[Callable[[Collection[str]], None]] = []
        self._id = secrets.token_bytes(8)
        self._numbers = itertools.count(1)

    async def start(self) -> None:
        """Begin to connect to the bus; does not wait for it."""
        await self._broker.start()

    async def drain(self) -> None:
        """Publish what was accepted, and deliver what was received."""
        await self._broker.drain()
        self.hub.flush()

    async def stop(self) -> None:
        """Leave the bus at once."""
        await self._broker.stop()
        for interest in self._interests.values():
            if interest.release is not None:
                interest.release.cancel()

    @property
    def problems(self) -> list[str]:
        """What keeps messages from getting through the bus, in words; empty when all is well."""
        return self._broker.problems

    @property
    def channels(self) -> int:
        """Number of channels that have clients."""
        return len(self.hub)

    @property
    def bus(self) -> BusState:
        """The bus in numbers."""
        return self._broker.state

    @property
    def counts_all_receivers(self) -> bool:
        """Whether `submit` tells how many gateways there are; see `Broker.counts_all_receivers`."""
        return self._broker.counts_all_receivers

    @property
    def paused_publishers(self) -> int:
        """Number of sources that wait until the bus takes more."""
        return len(self._paused)

    @property
    def interests(self) -> int:
        """Number of channels that this gateway is, or is about to be, subscribed to on the bus."""
        return len(self._interests)

    @property
    def id(self) -> bytes:
        """8 random bytes; the ids of this gateway's connections begin with them."""
        return self._id

    def new_id(self) -> bytes:
        """Return an id for a connection: 16 bytes, unique over all gateways."""
        return self._id + next(self._numbers).to_bytes(8, "big")

    def claim(self, channel: str) -> tuple[Interest, asyncio.Future[None]]:
        """Want a channel of the bus.

        Returns:
            The interest, to be given back with `release`, and a future that is done when the bus has
            acknowledged: add the subscriber to the hub then, not before. The future is shared; it fails with
            `SubscribeError` when the bus refuses.
        """
        acknowledged = self._broker.subscribe(channel)
        interest = self._interests.get(channel)
        if interest is None:
            interest = self._interests[channel] = Interest(channel)
        elif interest.release is not None:
            interest.release.cancel()
            interest.release = None
        interest.holders += 1
        return interest, acknowledged

    def release(self, interest: Interest) -> None:
        """Give back a claim. A while after the last one, the bus is told."""
        interest.holders -= 1
        if not interest.holders:
            interest.release = self._loop.call_later(self._unsubscribe_delay, self._unsubscribe, interest)

    def publish(self, message: Message, source: PausableSource, receipt: Receipt | None = None) -> None:
        """Give a message to the bus; pauses the source when the bus can't take more for now; see `Broker.publish`."""
        if not self._broker.publish(message, source, receipt):
            self.congested = self._broker.congested
            self.pause(source)

    def pause(self, source: PausableSource) -> None:
        """Let a source publish no more until the bus takes more."""
        if source not in self._paused:
            self._paused[source] = None
            source.pause_publishing()

    def hold_back(self, source: PausableSource) -> None:
        """Pause a source that publishes as fast as it can, if so much waits that it would slow down the others."""
        if self._broker.hold_back():
            self.pause(source)

    def submit(self, message: Message, source: Source | None = None) -> asyncio.Future[Delivery]:
        """Give a message to the bus, and return a future of its outcome.

        Args:
            message: the message.
            source: the publisher of later messages that must not overtake this one when it fails; None: there are none.

        Returns:
            A future of the delivery; it fails with `PublishError`. It may be ignored.
        """
        submission = Submission(self._loop.create_future())
        self._broker.publish(message, submission if source is None else source, submission.settle)
        return submission.delivery

    def unsettled(self) -> set[Source]:
        """Return the sources whose messages are not, or perhaps not, published yet."""
        return self._broker.unsettled()

    def listen(self, channel: str, handler: Handler) -> asyncio.Future[None]:
        """Hear a channel of the relay's own for as long as this node lives; see `Hub.listen`.

        Returns:
            A future that is done when the bus has acknowledged; it fails with `SubscribeError`.
        """
        self.hub.listen(channel, handler)
        return self._broker.subscribe(channel)

    def forget(self, source: PausableSource) -> None:
        """Drop a source that is gone. What it has published stays on its way."""
        self._paused.pop(source, None)

    def watch_gaps(self, watcher: Callable[[Collection[str]], None]) -> None:
        """Tell of each gap, with the names of its channels, for as long as this node lives.

        By then what was received before has been delivered. Must not raise.
        """
        self._gap_watchers.append(watcher)

    def gap(self, channels: Collection[str], seconds: float) -> None:
        """Count, report and tell that messages may have been missed; see `Sink`."""
        self.counters.gaps += 1
        self.counters.gap_channels += len(channels)
        log.warning("gap", channels=len(channels), seconds=round(seconds, 3))
        self.hub.flush()
        for watcher in self._gap_watchers:
            watcher(channels)

    def writable(self) -> None:
        """Let the paused sources go on, one after the other as long as the bus takes more; called by the broker."""
        self.congested = False
        self._to_resume = len(self._paused)
        if self._resuming is None:  # not at once: a fault in a client's bytes must not reach the bus link
            self._resuming = self._loop.call_soon(self._resume)

    def _resume(self) -> None:
        self._resuming = None
        try:
            for _ in range(min(self._to_resume, RESUMED_PER_TURN)):
                if self.congested or not self._paused:
                    self._to_resume = 0
                    return
                self._to_resume -= 1
                source, _ = self._paused.popitem(last=False)
                source.resume_publishing()
        finally:
            if self._to_resume:
                self._resuming = self._loop.call_soon(self._resume)

    def _unsubscribe(self, interest: Interest) -> None:
        del self._interests[interest.channel]
        self._broker.unsubscribe(interest.channel)

    def _schedule_flush(self) -> None:
        due = self._flushed_at + self._write_delay
        if due <= self._loop.time():
            self._loop.call_soon(self._flush)
        else:
            self._loop.call_at(due, self._flush)

    def _flush(self) -> None:
        if self._write_delay:
            self._flushed_at = self._loop.time()
        self.hub.flush()


class Submission:
    """A single message whose publisher waits for the outcome; a `Source`.

    Args:
        delivery: settled with the outcome of the message.
    """

    __slots__ = ("delivery",)

    share = Share.BACK_ENDS

    def __init__(self, delivery: asyncio.Future[Delivery]) -> None:
        self.delivery = delivery

    def settle(self, outcome: Delivery | PublishError) -> None:
        """Settle the future; a `relay.brokers.Receipt`."""
        if self.delivery.done():
            return
        if isinstance(outcome, PublishError):
            self.delivery.set_exception(outcome)
            self.delivery.exception()  # retrieved here, because the caller may have left
        else:
            self.delivery.set_result(outcome)

    def publish_failed(self, error: PublishError) -> None:
        """Do nothing: the receipt has told the failure; see `Source`."""


class PausableSource(Source, Protocol):
    """A source that can be told to publish no more for now."""

    def pause_publishing(self) -> None:
        """Stop reading from the client until `resume_publishing`."""

    def resume_publishing(self) -> None:
        """Read from the client again."""
