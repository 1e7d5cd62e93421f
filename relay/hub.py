"""The hub: which clients of this gateway are subscribed to which channel, and the fan-out to them.

The hub is pure: it has no sockets and no event loop. It calls `schedule` when the first message of a batch arrives;
its owner then calls `flush` once, at the end of the tick or a little later.

A flush joins the frames of a channel's batch once and passes the same bytes to every subscriber, so that under load
the cost per delivery is a share of one write. Only a subscriber that published a message of the batch itself, and does
not want its echo, gets bytes of its own.

A fault in one subscriber, encoder or fan-out costs the others nothing: it is logged, and whom it concerns is told what
it has missed.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from relay.delivery import Delivery, deliver, tell_missed
from relay.logs import Logger
from relay.message import Encoder, Message
from relay.metrics.counters import Counters
from relay.subscribers import FanOut, Gatherer, Group, Subscriber

MAX_BATCH_BYTES = 256 * 1024
"""Size at which a channel's batch is flushed without waiting for the tick or the write delay."""

MESSAGE_OVERHEAD_BYTES = 256
"""Added to the payload's size of each message of a batch, so that the number of empty messages is bounded, too."""

Handler = Callable[[Message], None]
"""Takes a message of one of the relay's own channels. Must not raise or block."""


log = Logger("relay.hub")


class _Channel:
    """Subscribers of one channel, grouped by encoder, and the messages that wait for the next flush."""

    __slots__ = ("batch", "batch_bytes", "groups")

    def __init__(self) -> None:
        self.groups: dict[Encoder, Group] = {}
        self.batch: list[Message] = []
        self.batch_bytes = 0


class Hub:
    """The subscribers of all channels of one gateway.

    Args:
        counters: where messages, deliveries and writes are counted.
        schedule: called when a flush is due; must lead to one call of `flush`, later.
        fan_out: writes to many subscribers at once; None: each writes for itself.

    Attributes:
        alone: whether a flush is under way that one channel alone has messages for.
    """

    def __init__(self, counters: Counters, schedule: Callable[[], None], fan_out: FanOut | None = None) -> None:
        self._counters = counters
        self._at_once = fan_out
        self._schedule = schedule
        self._channels: dict[str, _Channel] = {}
        self._handlers: dict[str, Handler] = {}
        self._dirty: list[_Channel] = []
        self._gatherers: list[Gatherer] = []
        # What is written at the end of the running flush, to each subscriber all of it together.
        self._together: list[Delivery] = []
        # Whether a flush is scheduled, or running.
        self._flushing = False
        self.alone = False

    def __len__(self) -> int:
        """Return the number of channels that have a subscriber."""
        return len(self._channels)

    def subscribers(self, channel: str) -> int:
        """Return the number of subscribers of a channel."""
        entry = self._channels.get(channel)
        return 0 if entry is None else sum(map(len, entry.groups.values()))

    def receivers(self, channel: str) -> list[Subscriber]:
        """Return the subscribers of a channel: a copy, so they may leave meanwhile."""
        entry = self._channels.get(channel)
        return [] if entry is None else [one for group in entry.groups.values() for one in group.values()]

    @property
    def channels(self) -> list[str]:
        """The names of all channels that have a subscriber."""
        return list(self._channels)

    def listen(self, channel: str, handler: Handler) -> None:
        """Call a handler with each message of one of the relay's own channels, at once.

        Clients can't subscribe to such a channel. Its messages are not counted as delivered. Other messages take no
        longer: a handler is looked up only where a channel has no subscribers.
        """
        self._handlers[channel] = handler

    def unlisten(self, channel: str) -> None:
        """Call the handler of one of the relay's own channels no longer."""
        del self._handlers[channel]

    def add(self, channel: str, subscriber: Subscriber, encode: Encoder | None = None) -> None:
        """Deliver the messages of a channel to a subscriber from now on; by its own encoder, unless one is given.

        A second call changes nothing.
        """
        entry = self._channels.get(channel)
        if entry is None:
            entry = self._channels[channel] = _Channel()
        encode = encode or subscriber.encode
        group = entry.groups.get(encode)
        if group is None:
            group = entry.groups[encode] = Group()
        group.join(subscriber)

    def remove(self, channel: str, subscriber: Subscriber, encode: Encoder | None = None) -> None:
        """Stop delivering the messages of a channel to a subscriber; nothing happens when it wasn't added so."""
        entry = self._channels.get(channel)
        if entry is None:
            return
        encode = encode or subscriber.encode
        group = entry.groups.get(encode)
        if group is None or not group.leave(subscriber):
            return
        if not group:
            del entry.groups[encode]
            if not entry.groups:
                del self._channels[channel]

    def receive(self, message: Message) -> None:
        """Take a message from the bus; subscribers get it at the next flush."""
        channel = self._channels.get(message.channel)
        if channel is None:
            handler = self._handlers.get(message.channel)
            if handler is not None:
                handler(message)
            return  # without a handler: the last subscriber has left, and this gateway is not unsubscribed yet
        if not channel.batch:
            if not self._flushing:
                self._flushing = True
                self._schedule()
            self._dirty.append(channel)
        channel.batch.append(message)
        channel.batch_bytes += len(message.payload) + MESSAGE_OVERHEAD_BYTES
        if channel.batch_bytes >= MAX_BATCH_BYTES:
            self._deliver_together()  # within a flush, some of it may be of this channel, and comes first
            self._fan_out(channel)

    def flush(self) -> None:
        """Deliver all messages that were received since the last flush."""
        dirty, self._dirty = self._dirty, []
        self.alone = len(dirty) == 1
        try:
            for channel in dirty:
                if channel.batch:
                    self._fan_out(channel, together=not self.alone)
            self._deliver_together()
            while self._gatherers:
                self._gatherers.pop().write_gathered()
        finally:
            self.alone = False
            # With a broker in this process, a delivery can lead to a message; and one that gathers can have a fault.
            self._flushing = bool(self._dirty or self._gatherers)
            if self._flushing:
                self._schedule()

    def flush_channel(self, channel: str) -> None:
        """Deliver the messages of one channel that were received since the last flush.

        So a subscriber that is added now gets only later ones.
        """
        self._deliver_together()  # as in `receive`
        entry = self._channels.get(channel)
        if entry is not None and entry.batch:
            self._fan_out(entry)

    def gather(self, subscriber: Gatherer) -> None:
        """Call `write_gathered` of a subscriber at the end of the running flush, or else of the next one.

        For subscribers of several channels. Subscribers of one channel write in `deliver`, and never call this.
        """
        if not self._flushing:
            self._flushing = True
            self._schedule()
        self._gatherers.append(subscriber)

    def _fan_out(self, channel: _Channel, *, together: bool = False) -> None:
        """Deliver the batch of a channel.

        Args:
            channel: has one.
            together: whether other channels have something for the same subscribers.
        """
        batch, channel.batch, channel.batch_bytes = channel.batch, [], 0
        count, last = len(batch), batch[-1]
        counters = self._counters
        counters.messages_delivered += count
        # Copies: a subscriber that turns out to be slow leaves during the loop.
        for encode, group in list(channel.groups.items()):
            try:  # costs nothing where there is no fault
                frames = [encode(message) for message in batch]
                sent = count
                if b"" in frames:  # the format can't carry these messages
                    left_out = frames.count(b"")
                    counters.deliveries_left_out += left_out * len(group)
                    if (sent := count - left_out) == 0:
                        continue
                data = b"".join(frames) if count > 1 else frames[0]
                senders = _senders(group, batch, frames) if any(message.origin in group for message in batch) else ()
                reached = len(group) - len(senders)
                for sender, own in senders:
                    if len(own) < count:
                        self._deliver_to_sender(sender, data, own, batch)
                if together and not senders and self._gathers(group):
                    self._together.append(Delivery(group, data, sent, last))
                else:
                    deliver(self._write_at_once(group, data, senders), data, sent, last)
            except Exception:  # the other formats have no part in it
                log.exception("messages not delivered", channel=last.channel, subscribers=len(group))
                tell_missed(list(group.values()), last)
                continue
            counters.fanned_out += sent * reached
            counters.bytes_fanned_out += len(data) * reached
            counters.chunks_fanned_out += reached

    def _gathers(self, group: Group) -> bool:
        """Return whether some of a group are to be written to with what other channels have for them."""
        fan_out = self._at_once
        return fan_out is not None and len(group) >= fan_out.least and fan_out.gathers(group)

    def _deliver_together(self) -> None:
        """Deliver what was left for the end of the flush."""
        together, self._together = self._together, []
        if not together:
            return
        assert self._at_once is not None
        try:
            others, joined = self._at_once.deliver_together([(one.group, one.data) for one in together])
        except Exception:
            log.exception("messages not delivered", channels=len(together))
            for one in together:
                tell_missed(list(one.group.values()), one.last)
            return
        self._counters.chunks_joined += joined
        for delivery, rest in zip(together, others, strict=True):
            deliver(rest, delivery.data, delivery.count, delivery.last)

    def _write_at_once(
        self, group: Group, data: bytes, senders: Collection[tuple[Subscriber, object]]
    ) -> Collection[Subscriber]:
        """Write to those of a group that take it at once, but not to senders; return the others, a copy."""
        without = [sender for sender, _ in senders]
        fan_out = self._at_once
        if fan_out is not None and len(group) - len(without) >= fan_out.least:
            return fan_out.deliver(group, data, without)
        if not without:
            return list(group.values())
        others = group.copy()
        for sender in without:
            others.pop(sender.id, None)  # it may have left when it was delivered to
        return others.values()

    def _deliver_to_sender(
        self, sender: Subscriber, data: bytes, own: list[tuple[int, int]], batch: list[Message]
    ) -> None:
        """Deliver a batch, whose joined frames are `data`, without the sender's own: from start to end of each."""
        count = len(batch) - len(own)
        starts = [0, *(end for _, end in own)]
        ends = [*(start for start, _ in own), len(data)]
        others = b"".join([data[start:end] for start, end in zip(starts, ends, strict=True)])
        deliver((sender,), others, count, batch[-1])
        self._counters.fanned_out += count
        self._counters.bytes_fanned_out += len(others)
        self._counters.chunks_fanned_out += 1


def _senders(
    group: dict[bytes, Subscriber], batch: list[Message], frames: list[bytes]
) -> list[tuple[Subscriber, list[tuple[int, int]]]]:
    """Return the senders that don't want their echo, each with start and end of its frames in the joined frames."""
    places: dict[bytes, list[tuple[int, int]]] = {}
    start = 0
    for message, frame in zip(batch, frames, strict=True):
        end = start + len(frame)
        if message.origin in group:
            places.setdefault(message.origin, []).append((start, end))
        start = end
    return [(group[origin], own) for origin, own in places.items() if not group[origin].echo]
