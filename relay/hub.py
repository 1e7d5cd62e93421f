"""The hub: which clients of this gateway are subscribed to which channel, and the fan-out to them.

The hub is pure: it knows no sockets and no event loop. It calls `schedule` when the first message of a
batch arrives; its owner answers, at the end of the tick or a little later, with one `flush`.

A flush joins the frames of a channel's batch once and hands the same bytes to every subscriber, so that
under load the cost per delivery is a share of one write. Only a subscriber that sent a message of the
batch, and did not ask for its echo, gets bytes of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Protocol

from relay.message import Encoder, Message
from relay.metrics.counters import Counters

MAX_BATCH_BYTES = 256 * 1024
"""Size at which a channel's batch is flushed without waiting for the tick or the write delay."""

MESSAGE_OVERHEAD_BYTES = 256
"""What a message counts for beside its payload, so that empty ones are bounded too."""

Handler = Callable[[Message], None]
"""Takes a message of a channel of the relay's own; must not raise or block."""


class Subscriber(Protocol):
    """What the hub delivers to."""

    @property
    def id(self) -> bytes:
        """16 bytes, unique over all gateways; the origin of its messages."""

    @property
    def echo(self) -> bool:
        """Whether it gets its own messages back."""

    @property
    def encode(self) -> Encoder:
        """Encoder of its wire format: one function object shared by all subscribers of that format."""

    def deliver(self, data: bytes, count: int) -> None:
        """Write `count` encoded messages. Must not raise or block; may leave the hub during the call."""


class Gatherer(Protocol):
    """A subscriber of several channels, which writes what they bring in one tick together."""

    def write_gathered(self) -> None:
        """Write everything that was gathered since the last call. Must not raise or block."""


class _Channel:
    """Subscribers of one channel, grouped by encoder, and the messages that wait for the next flush."""

    __slots__ = ("batch", "batch_bytes", "groups")

    def __init__(self) -> None:
        self.groups: dict[Encoder, dict[bytes, Subscriber]] = {}
        self.batch: list[Message] = []
        self.batch_bytes = 0


class Hub:
    """Subscribers of all channels of one gateway.

    Args:
        counters: where messages, deliveries and writes are counted.
        schedule: called when a flush is wanted; must lead to a call of `flush`, later.
    """

    def __init__(self, counters: Counters, schedule: Callable[[], None]) -> None:
        self._counters = counters
        self._schedule = schedule
        self._channels: dict[str, _Channel] = {}
        self._handlers: dict[str, Handler] = {}
        self._dirty: list[_Channel] = []
        self._gatherers: list[Gatherer] = []
        # Whether a flush is due, or going on.
        self._flushing = False

    def __len__(self) -> int:
        """Return the number of channels that have a subscriber."""
        return len(self._channels)

    def subscribers(self, channel: str) -> int:
        """Return how many subscribers a channel has."""
        entry = self._channels.get(channel)
        return 0 if entry is None else sum(map(len, entry.groups.values()))

    @property
    def channels(self) -> list[str]:
        """The names of all channels that have a subscriber."""
        return list(self._channels)

    def listen(self, channel: str, handler: Handler) -> None:
        """Give each message of a channel of the relay's own to a handler, at once; no client can have such a name.

        Such messages are not counted as delivered, and the way of all others costs nothing more.
        """
        self._handlers[channel] = handler

    def add(self, channel: str, subscriber: Subscriber) -> None:
        """Deliver the messages of a channel to a subscriber from now on. Adding twice changes nothing."""
        entry = self._channels.get(channel)
        if entry is None:
            entry = self._channels[channel] = _Channel()
        entry.groups.setdefault(subscriber.encode, {})[subscriber.id] = subscriber

    def remove(self, channel: str, subscriber: Subscriber) -> None:
        """Stop delivering; nothing happens when it wasn't subscribed."""
        entry = self._channels.get(channel)
        if entry is None:
            return
        group = entry.groups.get(subscriber.encode)
        if group is None or group.pop(subscriber.id, None) is None:
            return
        if not group:
            del entry.groups[subscriber.encode]
            if not entry.groups:
                del self._channels[channel]

    def receive(self, message: Message) -> None:
        """Take a message from the bus; it reaches the subscribers at the next flush."""
        channel = self._channels.get(message.channel)
        if channel is None:
            handler = self._handlers.get(message.channel)
            if handler is not None:
                handler(message)
            return  # or the last subscriber left, and the bus hasn't been told yet
        if not channel.batch:
            if not self._flushing:
                self._flushing = True
                self._schedule()
            self._dirty.append(channel)
        channel.batch.append(message)
        channel.batch_bytes += len(message.payload) + MESSAGE_OVERHEAD_BYTES
        if channel.batch_bytes >= MAX_BATCH_BYTES:
            self._fan_out(channel)

    def flush(self) -> None:
        """Deliver everything that was received since the last flush."""
        try:
            dirty, self._dirty = self._dirty, []
            for channel in dirty:
                if channel.batch:
                    self._fan_out(channel)
            while self._gatherers:
                self._gatherers.pop().write_gathered()
        finally:
            self._flushing = False

    def gather(self, subscriber: Gatherer) -> None:
        """Let a subscriber write once at the end of the next flush, or of the one that is going on.

        For subscribers of several channels: those of one write in `deliver`, and it costs them nothing.
        """
        if not self._flushing:
            self._flushing = True
            self._schedule()
        self._gatherers.append(subscriber)

    def _fan_out(self, channel: _Channel) -> None:
        batch, channel.batch, channel.batch_bytes = channel.batch, [], 0
        count = len(batch)
        counters = self._counters
        counters.messages_delivered += count
        # Copies: a subscriber that turns out to be slow leaves while we iterate.
        for encode, group in list(channel.groups.items()):
            frames = [encode(message) for message in batch]
            data = b"".join(frames) if count > 1 else frames[0]
            subscribers: Collection[Subscriber] = list(group.values())
            if any(message.origin in group for message in batch):
                others = group.copy()
                for sender, own in _senders(group, batch, frames):
                    del others[sender.id]
                    self._deliver_to_sender(sender, data, own, count)
                subscribers = others.values()
            for subscriber in subscribers:
                subscriber.deliver(data, count)
            reached = len(subscribers)
            counters.fanned_out += count * reached
            counters.bytes_fanned_out += len(data) * reached
            counters.writes += reached

    def _deliver_to_sender(self, sender: Subscriber, data: bytes, own: list[tuple[int, int]], count: int) -> None:
        """Deliver a batch without the sender's own frames, whose places in the data are given."""
        if len(own) == count:
            return
        starts = [0, *(end for _, end in own)]
        ends = [*(start for start, _ in own), len(data)]
        others = b"".join([data[start:end] for start, end in zip(starts, ends, strict=True)])
        sender.deliver(others, count - len(own))
        self._counters.fanned_out += count - len(own)
        self._counters.bytes_fanned_out += len(others)
        self._counters.writes += 1


def _senders(
    group: dict[bytes, Subscriber], batch: list[Message], frames: list[bytes]
) -> list[tuple[Subscriber, list[tuple[int, int]]]]:
    """Return the senders that don't get their own messages back, each with the places of these in the joined frames."""
    places: dict[bytes, list[tuple[int, int]]] = {}
    start = 0
    for message, frame in zip(batch, frames, strict=True):
        end = start + len(frame)
        if message.origin in group:
            places.setdefault(message.origin, []).append((start, end))
        start = end
    return [(group[origin], own) for origin, own in places.items() if not group[origin].echo]
