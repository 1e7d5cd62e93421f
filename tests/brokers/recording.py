"""Sinks and sources that keep what they are told."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection

from relay.brokers import Broker, BrokerOptions, Published, Receipt, load_broker
from relay.brokers.shares import Share
from relay.errors import PublishError
from relay.message import Kind, Message, PositionedMessage
from relay.metrics.counters import Counters
from relay.position import Position


class RecordingSink:
    """A node's side of a broker."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.gaps: list[tuple[list[str], float]] = []
        self.gaps_began_at: list[float] = []
        self.writable_calls = 0

    def receive(self, message: Message) -> None:
        self.messages.append(message)

    def receive_positioned(self, message: PositionedMessage) -> None:
        self.messages.append(message)

    def gap(self, channels: Collection[str], seconds: float) -> None:
        self.gaps.append((sorted(channels), seconds))
        self.gaps_began_at.append(time.monotonic() - seconds)

    def writable(self) -> None:
        self.writable_calls += 1

    def positions(self, channel: str) -> list[Position | None]:
        """Return the positions of what was received on a channel."""
        return [getattr(message, "position", None) for message in self.messages if message.channel == channel]

    def payloads(self, channel: str) -> list[bytes]:
        """Return what was received on a channel."""
        return [message.payload for message in self.messages if message.channel == channel]


class RecordingSource:
    """A publisher's side of a broker.

    Args:
        share: which part of the publish buffer its messages count for.
    """

    def __init__(self, share: Share = Share.CLIENTS) -> None:
        self.share = share
        self.errors: list[PublishError] = []

    def publish_failed(self, error: PublishError) -> None:
        self.errors.append(error)


class Outcomes:
    """Receipts of messages: what became of each, in the order of telling."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.positions: list[Position | None] = []
        self.repeated: list[bool] = []
        self.errors: list[PublishError] = []

    def __call__(self, outcome: Published | PublishError) -> None:
        if isinstance(outcome, PublishError):
            self.errors.append(outcome)
        else:
            assert isinstance(outcome, Published)
            self.heard.append(outcome.receivers)
            self.positions.append(outcome.position)
            self.repeated.append(outcome.repeated)


class Station:
    """A broker with everything around it that a test wants to look at.

    Args:
        options: of the broker.
    """

    def __init__(self, options: BrokerOptions) -> None:
        self.sink = RecordingSink()
        self.source = RecordingSource()
        self.back_end = RecordingSource(Share.BACK_ENDS)
        self.counters = Counters()
        self.broker: Broker = load_broker(options, self.sink, self.counters)

    def say(
        self,
        channel: str,
        payload: bytes,
        kind: Kind = Kind.TEXT,
        receipt: Receipt | None = None,
        key: str | None = None,
    ) -> bool:
        """Publish a message of this station's client, or of its back end when there is a receipt."""
        source = self.source if receipt is None else self.back_end
        return self.broker.publish(Message(channel, payload, kind), source, receipt, key)


Stations = Callable[[], Awaitable[Station]]
"""Starts a station on the bus of a test."""
