"""One channel with positions: its sequence, the clients that wait to join it, and the readings that these need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from relay.interest import Acknowledged
from relay.message import Message, PositionedMessage
from relay.metrics.counters import Counters
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.recovery.reading import Extent, Reading
from relay.recovery.ring import Budget
from relay.recovery.sequence import Sequence, State
from relay.replay import Resume

Awaited = asyncio.Future["Reading | None"]
"""Done when it has to be looked again whether a client can join; the reading that was made for it, if there was one."""


class Shared(Protocol):
    """What all channels share.

    Attributes:
        loop: the event loop.
        counters: where messages are counted.
        rings, buffers: see `Sequence`.
        grace, fill_seconds: see `Recoveries`.
        deliver: takes messages in order, at the end of the tick.
    """

    loop: asyncio.AbstractEventLoop
    counters: Counters
    rings: Budget
    buffers: Budget
    grace: float
    fill_seconds: float
    deliver: Callable[[Message], None]

    def request(self, channel: ChannelRecovery) -> None:
        """Read a channel's history; see `Readings.request`."""

    def missed(self, channel: ChannelRecovery) -> None:
        """Tell the subscribers of a channel that they have missed messages."""


class ChannelRecovery:
    """One channel; see `SequenceOwner` and `ReadingOwner`.

    Args:
        name: of the channel.
        options: its.
        shared: what all channels share.

    Attributes:
        sequence: the channel's messages.
        acknowledged: the subscription on the bus that was claimed last.
        failures: see `ReadingOwner`.
        heard_at: when a message had come since the look before, or when the channel was opened, in seconds: the newest
            message is no younger.
        heard: whether a message has come since it was claimed, so that it is known how old the newest one is.
        options: see above.
    """

    __slots__ = (
        "_asked",
        "_closed",
        "_extent",
        "_missing",
        "_outdated",
        "_reading",
        "_settled",
        "_shared",
        "_timer",
        "_waiting",
        "_wanted",
        "acknowledged",
        "deliver",
        "failures",
        "heard",
        "heard_at",
        "name",
        "options",
        "sequence",
    )

    def __init__(self, name: str, options: ChannelOptions, shared: Shared) -> None:
        self.name = name
        self.options = options
        self._shared = shared
        self.deliver: Callable[[PositionedMessage], None] = shared.deliver
        self.sequence = Sequence(options, shared.rings, shared.buffers, shared.counters, self)
        self.acknowledged: Acknowledged | None = None
        self.failures = 0
        self.heard_at = shared.loop.time()
        self.heard = False
        self._wanted: Extent | None = None
        # The least offset that was asked for before the first reading; None: no client wants messages of before.
        self._asked: int | None = None
        # Whether the history is read now, and how much of it; and whether what it will say is too old.
        self._reading = False
        self._extent = Extent.TOP
        self._outdated = False
        # Clients that wait for the next reading, for the present one, and for the channel to be LIVE.
        self._missing: Awaited | None = None
        self._waiting: list[Awaited] = []
        self._settled: Awaited | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    # What clients wait for.

    def want(self, extent: Extent) -> None:
        """Have the history read."""
        self._wanted = extent if self._wanted is None else max(extent, self._wanted)
        self._shared.request(self)

    def expect(self, resume: Resume) -> None:
        """Let the first reading bring what a client wants: it isn't begun before the bus brings the channel."""
        if resume:
            offset = resume.offset if isinstance(resume, Position) else 0
            self._asked = offset if self._asked is None else min(offset, self._asked)

    def wait_for_reading(self, extent: Extent) -> Awaited:
        """Have the history read, and return what is done then; shared by all that wait for it."""
        if self._missing is None:
            self._missing = self._shared.loop.create_future()
        self.want(extent)
        return self._missing

    def wait_until_live(self) -> Awaited:
        """Return what is done when the channel is LIVE, and cancelled if it won't be; shared by all that wait."""
        if self._settled is None:
            self._settled = self._shared.loop.create_future()
        return self._settled

    def refuse(self) -> None:
        """Cancel what clients wait for."""
        for awaited in (self._settled, self._missing, *self._waiting):
            if awaited is not None:
                awaited.cancel()
        self._settled = self._missing = None
        self._waiting.clear()

    def gap(self) -> None:
        """Take note that live messages may have been missed until now."""
        self._outdated = self._reading
        self.sequence.gap()
        if self.sequence.state is State.FILLING:
            self.want(Extent.SINCE)

    def close(self) -> None:
        """End: the channel is unsubscribed."""
        self._closed = True
        self._wanted = None
        self._stop_timer()
        self.refuse()
        self.sequence.close()

    # What its readings ask and tell.

    @property
    def wants(self) -> bool:
        """See `ReadingOwner`."""
        return self._wanted is not None

    def begin(self) -> int | None:
        """See `ReadingOwner`."""
        extent = self._wanted or Extent.TOP
        if self.sequence.state is State.FILLING:
            extent = max(extent, Extent.SINCE)
        elif self.sequence.state is State.OPENING:
            extent = Extent.TOP if self._asked is None else Extent.SINCE
        self._extent = extent
        self._wanted = None
        self._reading, self._outdated = True, False
        if self._missing is not None:
            self._waiting.append(self._missing)
            self._missing = None
        return self.sequence.read(extent, self._asked or 0)

    def end(self, reading: Reading | None) -> bool:
        """See `ReadingOwner`."""
        self._reading = False
        if self._closed:
            return True
        if reading is None or self._outdated:
            self.want(self._extent)
            return reading is not None
        waiting, self._waiting = self._waiting, []
        if self.sequence.state is State.OPENING:
            self.heard_at = self._shared.loop.time()
        useful = self.sequence.merge(reading)
        for awaited in waiting:
            if not awaited.done():
                awaited.set_result(reading)
        return useful

    # What its sequence tells.

    def missed(self) -> None:
        """See `SequenceOwner`."""
        self._shared.missed(self)

    def incomplete(self) -> None:
        """See `SequenceOwner`."""
        self._outdated = self._reading
        if self._timer is None:
            self._timer = self._shared.loop.call_later(self._shared.fill_seconds, self._give_up)
        self.want(Extent.SINCE)

    def doubtful(self) -> None:
        """See `SequenceOwner`."""
        self._stop_timer()
        self._timer = self._shared.loop.call_later(self._shared.grace, self._give_up)

    def complete(self) -> None:
        """See `SequenceOwner`."""
        self._stop_timer()
        settled, self._settled = self._settled, None
        if settled is not None and not settled.done():
            settled.set_result(None)

    def _give_up(self) -> None:
        self._timer = None
        self.sequence.give_up()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
