"""The histories of a single gateway's channels."""

from __future__ import annotations

import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from itertools import islice
from typing import Final

from relay.brokers import Published
from relay.brokers.history import (
    FRESH_SECONDS,
    MAX_PAGE,
    POSITION_SECONDS,
    REPEAT_SECONDS,
    HistoryError,
    HistoryPage,
    HistoryStore,
)
from relay.message import Message, PositionedMessage, attributes_of, content_bytes
from relay.namespaces import ChannelOptions, Namespaces
from relay.position import Position

MAX_CHANNELS: Final = 65_536
"""Whose positions are known; beyond it those are forgotten where nothing was ever published, then those where nothing
was published for longest."""

MAX_BYTES: Final = 256 * 1024 * 1024
"""Of all messages that are kept; beyond it the histories are dropped where nothing was published for longest."""

ROOM_BYTES: Final = MAX_BYTES // 8
"""By which it goes below `MAX_BYTES` then, so that it is seldom looked for room."""

MESSAGE_BYTES: Final = 256
"""What a message takes beside its payload, for `MAX_BYTES`."""

MAX_REPEATS: Final = 65_536
"""Idempotency keys that are known; beyond it the oldest ones are forgotten."""

_FROM_NOTHING: Final = Position("", 0)
"""Where each epoch begins; see `HistoryPage`."""

SWEPT: Final = 4
"""Channels and keys that are looked at with each message: more than come with it, so that nothing piles up."""


class _Channel:
    """What is known of one channel.

    Attributes:
        top: the position of its newest message.
        messages: the newest ones, the oldest first.
        size: bytes of their payloads.
        kept_until: when they expire, in seconds.
        known_until: when the position expires, in seconds.
    """

    __slots__ = ("kept_until", "known_until", "messages", "size", "top")

    def __init__(self) -> None:
        # Nothing else in this process has ever had it, and clients of an earlier process can't know it.
        self.top = Position(secrets.token_urlsafe(9), 0)
        self.messages: deque[PositionedMessage] = deque()
        self.size = 0
        self.kept_until = 0.0
        self.known_until = 0.0


class MemoryHistoryStore(HistoryStore):
    """Histories within this process: they end with it, and so do their epochs.

    Args:
        namespaces: how much is kept.
        clock: returns seconds.
    """

    def __init__(self, namespaces: Namespaces, clock: Callable[[], float] = time.monotonic) -> None:
        self._options = namespaces.options
        self._clock = clock
        # Where something was published last comes last.
        self._channels: OrderedDict[str, _Channel] = OrderedDict()
        # Channels where nothing was ever published, an ordered set. The one that was looked at last comes last.
        self._fresh: OrderedDict[str, None] = OrderedDict()
        self._bytes = 0
        # Channels that are still to be looked at in this round.
        self._unswept: list[str] = []
        # The oldest first.
        self._repeats: OrderedDict[tuple[str, str], tuple[float, Published]] = OrderedDict()

    def append(self, message: Message, options: ChannelOptions) -> PositionedMessage:
        """Give a message the next position of its channel, and keep it as its options say."""
        now = self._clock()
        self._sweep(now)
        channel = self._channel(message.channel, now)
        self._channels.move_to_end(message.channel)
        self._fresh.pop(message.channel, None)
        self._bound()
        channel.top = Position(channel.top.epoch, channel.top.offset + 1)
        _renew(channel, options, now)
        positioned = PositionedMessage(
            message.channel,
            message.payload,
            message.kind,
            message.origin,
            position=channel.top,
            attributes=attributes_of(message),
        )
        if options.history_size:
            self._keep(channel, positioned, options, now)
        return positioned

    def find(self, channel: str, key: str) -> Published | None:
        """Return what was answered to the message with an idempotency key; None: there was none."""
        found = self._repeats.get((channel, key))
        if found is None or found[0] <= self._clock():
            return None
        return Published(found[1].receivers, found[1].position, repeated=True)

    def remember(self, channel: str, key: str, published: Published) -> None:
        """Keep the answer to a message with an idempotency key."""
        now = self._clock()
        repeats = self._repeats
        repeats.pop((channel, key), None)
        repeats[channel, key] = (now + REPEAT_SECONDS, published)
        for _ in range(SWEPT):
            oldest = next(iter(repeats))
            if len(repeats) <= MAX_REPEATS and repeats[oldest][0] > now:
                break
            del repeats[oldest]

    async def read(
        self, channel: str, *, since: Position | None = None, limit: int | None = None, newest_first: bool = False
    ) -> HistoryPage:
        """See `HistoryStore.read`."""
        options = self._options(channel)
        if not options.positioned:
            raise HistoryError("the channel has no positions")
        now = self._clock()
        self._sweep(now)
        known = self._channel(channel, now)
        _renew(known, options, now)
        if not known.top.offset:
            self._fresh[channel] = None
            self._fresh.move_to_end(channel)
            self._bound()
        if known.kept_until <= now:
            self._drop(known)
        count = MAX_PAGE if limit is None else min(limit, MAX_PAGE)
        messages = known.messages
        if newest_first:
            found = (m for m in reversed(messages) if since is None or m.position.offset < since.offset)
        else:
            found = (m for m in messages if since is None or m.position.offset > since.offset)
        return HistoryPage(known.top, list(islice(found, count)), _FROM_NOTHING)

    async def remove(self, channel: str) -> None:
        """See `HistoryStore.remove`."""
        known = self._channels.get(channel)
        if known is not None:
            self._drop(known)

    async def close(self) -> None:
        """Do nothing: nothing is held that doesn't end with this object."""

    def _channel(self, name: str, now: float) -> _Channel:
        """Return what is known of a channel; what isn't known begins anew, with another epoch."""
        channel = self._channels.get(name)
        if channel is not None and channel.known_until > now:
            return channel
        if channel is not None:
            self._forget(name)
        channel = self._channels[name] = _Channel()
        return channel

    def _bound(self) -> None:
        """Forget a channel if there are too many."""
        if len(self._channels) > MAX_CHANNELS:
            self._forget(next(iter(self._fresh or self._channels)))

    def _keep(self, channel: _Channel, message: PositionedMessage, options: ChannelOptions, now: float) -> None:
        if channel.kept_until <= now:
            self._drop(channel)
        channel.messages.append(message)
        self._count(channel, content_bytes(message), 1)
        while len(channel.messages) > options.history_size or (
            channel.size > options.history_bytes and len(channel.messages) > 1
        ):
            self._count(channel, -content_bytes(channel.messages.popleft()), -1)
        channel.kept_until = now + options.history_ttl
        if self._bytes > MAX_BYTES:
            self._make_room(channel)

    def _make_room(self, last: _Channel) -> None:
        """Drop the histories of other channels where nothing was published for longest."""
        for channel in self._channels.values():
            if self._bytes <= MAX_BYTES - ROOM_BYTES or channel is last:
                break
            self._drop(channel)

    def _count(self, channel: _Channel, size: int, messages: int) -> None:
        channel.size += size
        self._bytes += size + messages * MESSAGE_BYTES

    def _drop(self, channel: _Channel) -> None:
        self._count(channel, -channel.size, -len(channel.messages))
        channel.messages.clear()

    def _forget(self, name: str) -> None:
        self._drop(self._channels.pop(name))
        self._fresh.pop(name, None)

    def _sweep(self, now: float) -> None:
        """Look at some channels, all in turn, and drop what has expired."""
        if not self._unswept:
            self._unswept = list(self._channels)
        for _ in range(min(SWEPT, len(self._unswept))):
            name = self._unswept.pop()
            channel = self._channels.get(name)
            if channel is None:
                continue
            if channel.known_until <= now:
                self._forget(name)
            elif channel.kept_until <= now:
                self._drop(channel)


def _renew(channel: _Channel, options: ChannelOptions, now: float) -> None:
    """Let a position live on, as a message and a look do."""
    channel.known_until = now + (max(POSITION_SECONDS, options.history_ttl) if channel.top.offset else FRESH_SECONDS)
