"""The channels with positions of a gateway: nothing is missing of them, or subscribers are told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from typing import Final

from relay.brokers.history import HistoryStore
from relay.hub import Hub
from relay.interest import Acknowledged
from relay.logs import Logger
from relay.message import Message, PositionedMessage
from relay.metrics.counters import Counters
from relay.namespaces import Namespaces
from relay.position import Position
from relay.recovery.channel_recovery import Awaited, ChannelRecovery
from relay.recovery.live_buffer import ALL_BUFFERS_BYTES
from relay.recovery.reading import Extent, Reading
from relay.recovery.readings import RETRY_SECONDS, Readings
from relay.recovery.ring import RING_BYTES, Budget
from relay.recovery.sequence import State
from relay.replay import Replay, Resume

FILL_SECONDS: Final = 10.0
"""How long live messages are kept back while the history can't be read; then subscribers are told that they have missed
messages. Longer than Redis takes to restart, or a Sentinel to fail over; and clients wait no longer for a message."""

LOOK_SECONDS: Final = 2.0
"""How often channels are looked at that are quiet: the newest message may have been lost, and none come behind it."""

UNHEARD_SECONDS: Final = 10.0
"""How long messages are at hand that were read when the channel was opened, where none has come since: it isn't known
how old they are. Those that are read later stay until the next look. So clients that all come back at once are served
by one reading, and a message outlives its history by no more than this and `LOOK_SECONDS`."""

LOOKED_AT: Final = 512
"""Channels that are looked at then, at most: more take their turns. It is one pipeline, of about 15 ms."""

log = Logger("relay.recovery")


class Recoveries:
    """All channels with positions of one gateway.

    Clients join in two steps. `prepare` tells what to wait for, again and again until it is nothing. Then `join`, in
    the same step in which the client is added to the hub: what the client gets of the messages before ends where the
    live ones go on.

    Args:
        namespaces: which channels have positions, and what is kept of them.
        history: the histories of the bus.
        hub: gets the messages, in order.
        counters: where everything is counted.
        missed: told the channels whose subscribers have missed messages.
        grace: seconds in which the bus brings a message that it has taken.
        fill_seconds: for which live messages of a channel are kept back while its history can't be read.
        longest_pause: seconds, at most, from a reading that has failed to the next one. Shorter than clients wait for
            a history, or one that comes when Redis is back would be refused for what has failed before.

    Attributes:
        loop, counters, rings, buffers, grace, fill_seconds, deliver: see `Shared`.
    """

    def __init__(
        self,
        namespaces: Namespaces,
        history: HistoryStore,
        hub: Hub,
        counters: Counters,
        missed: Callable[[Collection[str]], None],
        grace: float,
        *,
        fill_seconds: float = FILL_SECONDS,
        longest_pause: float = RETRY_SECONDS[1],
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.counters = counters
        self.rings = Budget(RING_BYTES)
        self.buffers = Budget(ALL_BUFFERS_BYTES)
        self.grace = grace
        self.fill_seconds = fill_seconds
        self.deliver: Callable[[Message], None] = hub.receive
        self._namespaces = namespaces
        self._hub = hub
        self._missed = missed
        self._readings = Readings(history, counters, longest_pause)
        self._channels: dict[str, ChannelRecovery] = {}
        # Quiet channels that are looked at in this round.
        self._round: list[ChannelRecovery] = []

    def __len__(self) -> int:
        """Return the number of channels with positions that this gateway is subscribed to."""
        return len(self._channels)

    @property
    def buffered(self) -> int:
        """Bytes of the messages that are kept."""
        return self.rings.used + self.buffers.used

    def position(self, channel: str) -> Position | None:
        """Return where a channel goes on: the position before its next message; None: it has none, or not yet."""
        found = self._channels.get(channel)
        return None if found is None or found.sequence.state is State.OPENING else found.sequence.position

    # Who joins.

    def covers(self, channel: str) -> bool:
        """Return whether the messages of a channel have positions."""
        return self._namespaces.positioned and self._namespaces.options(channel).positioned

    def claimed(self, channel: str, acknowledged: Acknowledged) -> None:
        """Be told that a client claims a channel that has positions.

        Args:
            channel: its name.
            acknowledged: see `Node.claim`.
        """
        found = self._channels.get(channel)
        if found is None:
            found = self._channels[channel] = ChannelRecovery(channel, self._namespaces.options(channel), self)
        if acknowledged is found.acknowledged:
            return
        found.acknowledged = acknowledged
        if not acknowledged.done():
            acknowledged.add_done_callback(partial(self._subscribed, found))
        elif found.sequence.state is State.OPENING:
            self._subscribed(found, acknowledged)

    def prepare(self, channel: str, resume: Resume, reading: Reading | None = None) -> Awaited | None:
        """Return what a client has to wait for before it can join, and then ask again; None: it can join.

        Args:
            channel: claimed for the client.
            resume: what it wants of the messages before.
            reading: what it has waited for, if it was one.

        Returns:
            A future that is shared: don't cancel it. It is cancelled when the bus refuses the channel.
        """
        found = self._channels[channel]
        if found.sequence.state is not State.LIVE:
            if found.sequence.state is State.OPENING:
                found.expect(resume)
            return found.wait_until_live()
        lacking = found.sequence.lacks(resume, reading)
        return None if lacking is None else found.wait_for_reading(lacking)

    def join(self, channel: str, resume: Resume, reading: Reading | None = None) -> Replay:
        """Return what a client gets that is added to the hub in this step.

        Args:
            channel: claimed for the client, and opened.
            resume: what it wants.
            reading: the last one that it has waited for.
        """
        found = self._channels[channel]
        assert found.sequence.state is not State.OPENING, "the client has not been prepared"
        self._hub.flush_channel(channel)
        replay = found.sequence.replay(resume, reading)
        if isinstance(resume, Position):
            self.counters.recoveries["recovered" if replay.recovered else "missed"] += 1
        return replay

    def closed(self, channel: str) -> None:
        """Be told that a channel is unsubscribed."""
        found = self._channels.pop(channel, None)
        if found is not None:
            self._readings.forget(found)
            found.close()

    def forget_history(self, channel: str) -> None:
        """Forget the messages of a channel whose history was removed."""
        found = self._channels.get(channel)
        if found is not None and found.sequence.state is not State.OPENING:
            found.sequence.expire()

    # What the bus brings.

    def receive(self, message: PositionedMessage) -> None:
        """Take a message from the bus."""
        found = self._channels.get(message.channel)
        if found is None:
            self.deliver(message)
        else:
            found.sequence.receive(message)

    def gap(self, channel: str) -> bool:
        """Be told that messages of a channel may have been missed; return whether it has positions."""
        found = self._channels.get(channel)
        if found is None:
            return False
        found.gap()
        return True

    # What is done all the time.

    async def run(self) -> None:
        """Look at quiet channels, again and again, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look(self.loop.time())

    def look(self, now: float) -> None:
        """Look at channels that are quiet, so many at a time; and forget messages that have expired.

        Args:
            now: loop time, in seconds.
        """
        quiet = []
        for found in self._channels.values():
            sequence = found.sequence
            if sequence.heard:
                sequence.heard = False
                found.heard, found.heard_at = True, now
            elif sequence.state is State.LIVE:
                quiet.append(found)
                if now - found.heard_at > found.options.history_ttl:
                    sequence.expire()
                elif not found.heard and now - found.heard_at > UNHEARD_SECONDS:
                    sequence.forget()
            if self.rings.exceeded:
                sequence.trim()
        if not self._round:
            # Those first that have ever had a message: of the others none is likely to be missing.
            self._round = sorted(quiet, key=_silent)
        turn, self._round = self._round[:LOOKED_AT], self._round[LOOKED_AT:]
        for found in turn:
            if self._channels.get(found.name) is found and found.sequence.state is State.LIVE:
                found.want(Extent.TOP)

    async def stop(self) -> None:
        """End all that is under way."""
        await self._readings.stop()
        for channel in list(self._channels):
            self.closed(channel)

    # What its channels ask for; see `Shared`.

    def request(self, channel: ChannelRecovery) -> None:
        """See `Readings.request`."""
        self._readings.request(channel)

    def missed(self, channel: ChannelRecovery) -> None:
        """Tell the subscribers of a channel, behind all messages that they get before."""
        self._hub.flush_channel(channel.name)
        subscribers = self._hub.subscribers(channel.name)
        if subscribers:
            self.counters.channels_missed += 1
            log.warning("messages missed", channel=channel.name, subscribers=subscribers)
            self._missed((channel.name,))

    def _subscribed(self, found: ChannelRecovery, acknowledged: Acknowledged) -> None:
        """Take note that the bus brings a channel, from now on or again; or that it refuses it."""
        if self._channels.get(found.name) is not found:
            return
        if acknowledged.cancelled() or acknowledged.exception() is not None:
            found.refuse()
        elif found.sequence.state is State.OPENING:
            found.want(Extent.TOP)
        else:
            found.gap()  # the bus was away; it will report that, too, but clients that wait come in now


def _silent(found: ChannelRecovery) -> bool:
    """Return whether a channel has never had a message."""
    return not found.sequence.position.offset
