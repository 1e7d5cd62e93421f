"""The messages of one channel with positions, in their order, each once, and none left out in silence.

    state     the next message   an older one   another one                  a reading of the history    a gap
    OPENING   kept               kept           kept                         its top is the position:    -
                                                                             LIVE
    LIVE      delivered          dropped        kept: FILLING                merged                      FILLING
    FILLING   kept               dropped        kept                         merged: LIVE                -

and of a channel that counts its messages without keeping any, where nothing can be filled:

    LIVE      delivered          dropped        missed, delivered            its top is ahead: FILLING   FILLING
    FILLING   delivered; LIVE    dropped        missed, delivered; LIVE      its top isn't ahead: LIVE   -
              when it is the top                when it is beyond the top

The next message has the offset behind the last one, in the same epoch. What is kept is delivered when the channel is
LIVE again, in order, by the same rules. `give_up` ends FILLING for want of a reading, or of the messages up to the top.

"Merged": the messages that were read and those that were kept, together, by their offsets. When none is missing up to
the top they are delivered. Otherwise subscribers are told first that they have missed messages, then they get all that
are at hand without a hole up to the top: never a part as if it were the whole.

Not every message that was read was missed: a live copy may still be on its way. It is dropped then, as an older one.

A reading can be older than what has come: a server that was the primary answered it. So a live message of another epoch
is dropped only if the epoch has just changed, or if it is the one before; else the channel stays FILLING.
"""

from __future__ import annotations

import enum
from typing import Final

from relay.brokers.history import MAX_PAGE
from relay.message import PositionedMessage
from relay.metrics.counters import Counters
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.recovery.former_epoch import FormerEpoch
from relay.recovery.live_buffer import LiveBuffer
from relay.recovery.reading import Extent, Reading, run_up_to
from relay.recovery.recent_messages import RecentMessages
from relay.recovery.ring import Budget
from relay.recovery.sequence_owner import SequenceOwner
from relay.replay import Replay, Resume

NOWHERE: Final = Position("", 0)
"""The position while a channel is being opened."""


class State(enum.Enum):
    """What a sequence does with live messages; see above."""

    OPENING = enum.auto()
    LIVE = enum.auto()
    FILLING = enum.auto()


class Sequence:
    """The messages of one channel; see above.

    Args:
        options: of the channel.
        rings: bytes that the recent messages of all channels share.
        buffers: bytes that the live buffers of all channels share.
        counters: where messages are counted.
        owner: gets what comes of it.

    Attributes:
        state: see `State`.
        position: of the last message that was delivered, or that was told to be missed.
        heard: whether a message was delivered since this was set to False.
    """

    __slots__ = (
        "_awaited",
        "_counters",
        "_deliver",
        "_former",
        "_keeps",
        "_live",
        "_owner",
        "_paged",
        "_recent",
        "heard",
        "position",
        "state",
    )

    def __init__(
        self, options: ChannelOptions, rings: Budget, buffers: Budget, counters: Counters, owner: SequenceOwner
    ) -> None:
        self._counters = counters
        self._keeps = options.history_size > 0  # so that a gap can be filled
        self._paged = options.history_size > MAX_PAGE  # more than one reading gives
        self._owner = owner
        self._deliver = owner.deliver
        self._recent = RecentMessages(options, rings)
        self._live = LiveBuffer(buffers)
        # Up to where messages are missing that can't be read, and may still come by themselves.
        self._awaited: Position | None = None
        self._former = FormerEpoch()
        self.state = State.OPENING
        self.position = NOWHERE
        self.heard = False

    # What comes.

    def receive(self, message: PositionedMessage) -> None:
        """Take a live message."""
        position, last = message.position, self.position
        if self.state is State.LIVE and position.offset == last.offset + 1 and position.epoch == last.epoch:
            self._advance(message)
        elif self.state is State.OPENING:
            self._keep(message)
        elif position.epoch == last.epoch and position.offset <= last.offset:
            self._counters.copies_dropped += 1
        elif self._keeps:
            self._keep(message)
            self.gap()
        else:
            self._pass_on(message)

    def gap(self) -> None:
        """Take note that live messages may have been missed; while the channel is opened nothing has begun yet."""
        if self.state is State.LIVE:
            self._stop()

    def read(self, extent: Extent, asked: int = 0) -> int | None:
        """Take note that the history is read now; return `Reading.since` of what will come.

        Args:
            extent: how much is wanted.
            asked: the least offset that clients have asked for, while the channel is opened.
        """
        self._live.old = len(self._live.messages)
        if extent is Extent.TOP or not self._keeps:
            return None
        if extent is Extent.ALL or self._paged:
            return 0
        return asked if self.state is State.OPENING else self.position.offset

    def merge(self, reading: Reading) -> bool:
        """Take what was read of the history; return False if it is older than what has come."""
        top, last = reading.page.top, self.position
        if self.state is State.OPENING:
            self.position = top
        elif top.epoch == last.epoch and top.offset <= last.offset:
            pass  # nothing has come since
        elif not self._keeps:
            self._awaited = top
            self.state = State.FILLING
            self._owner.doubtful()
            return True
        elif reading.since is None or reading.since > last.offset:
            # Messages are missing, and it doesn't tell which; or the epoch has changed since it was begun.
            self._stop()
            return True
        else:
            self._fill(reading)
        self._recent.take(reading, self.position)
        return self._go_on(anew=self.position.epoch != last.epoch != "")

    def give_up(self) -> None:
        """Go on without what is missing: it could not be read, or has not come."""
        if self.state is not State.FILLING:
            return
        kept = self._live.messages
        if self._awaited is not None:
            self._skip(self._awaited, [], 0, None)
        elif kept:
            newest = kept[-1].position
            self._skip(newest, [message for message in kept if message.position.epoch == newest.epoch], 0, None)
            self._live.old = len(kept)
        else:
            self._owner.missed()
        self._go_on(anew=True)

    # Who joins.

    def lacks(self, resume: Resume, reading: Reading | None) -> Extent | None:
        """Return what has to be read before a client can join; see `RecentMessages.lacks`. The channel is LIVE."""
        return self._recent.lacks(resume, self.position, reading)

    def replay(self, resume: Resume, reading: Reading | None) -> Replay:
        """Return what a client gets that joins now; see `RecentMessages.replay`. The channel has been opened."""
        return self._recent.replay(resume, self.position, reading)

    # What is given back.

    def expire(self) -> None:
        """Forget the messages of a history that has expired, or was removed."""
        self._recent.begin_anew(self.position.offset)

    def forget(self) -> None:
        """Forget messages that may be older than those of the history."""
        self._recent.begin_anew(0)

    def trim(self) -> None:
        """Keep no more than the channel's share, if there is too much of all channels."""
        self._recent.trim()

    def close(self) -> None:
        """Give back what it uses; nothing may be called afterwards."""
        self._live.take()
        self._recent.close()

    # Steps.

    def _advance(self, message: PositionedMessage) -> None:
        self.heard = True
        self.position = message.position
        self._recent.append(message)
        self._deliver(message)

    def _pass_on(self, message: PositionedMessage) -> None:
        """Deliver a message of a channel that keeps none: what is missing before it will not come."""
        position, last, awaited = message.position, self.position, self._awaited
        if position.epoch != last.epoch or position.offset != last.offset + 1:
            self.position = Position(position.epoch, max(0, position.offset - 1))
            self._owner.missed()
        self._advance(message)
        if awaited is not None and (
            position.epoch != last.epoch or (position.epoch == awaited.epoch and position.offset >= awaited.offset)
        ):
            self._go_on(anew=True)

    def _keep(self, message: PositionedMessage) -> None:
        if not self._live.add(message):
            self._counters.recovery_overflows += 1

    def _stop(self) -> None:
        self.state = State.FILLING
        self._owner.incomplete()

    def _fill(self, reading: Reading) -> None:
        """Deliver what is missing up to the top, or tell that it can't be had."""
        top = reading.page.top
        live = self._live.messages
        kept = {message.position.offset: message for message in live if message.position.epoch == top.epoch}
        known = {message.position.offset: message for message in reading.page.messages} | kept
        same = top.epoch == self.position.epoch
        if same:
            while self.position.offset < top.offset and self.position.offset + 1 in known:
                offset = self.position.offset + 1
                self._counters.messages_filled += offset not in kept
                self._advance(known[offset])
        else:
            for message in live:  # what was still heard of the epoch that has ended
                position, last = message.position, self.position
                if position.epoch == last.epoch and position.offset == last.offset + 1:
                    self._advance(message)
        if not same or self.position.offset < top.offset:
            self._skip(top, list(known.values()), top.offset if same else 0, reading.page.began)

    def _skip(self, top: Position, messages: list[PositionedMessage], searched: int, began: Position | None) -> None:
        """Tell that messages were missed, and deliver those without a hole up to the top.

        Args:
            top: where the channel goes on.
            messages: of its epoch.
            searched: the history has no more of the messages up to this offset than these; 0: that isn't known.
            began: see `HistoryPage`.
        """
        last = self.position
        delivered = self._former.delivered(last, top, began)
        # What was heard in this epoch is new in any case.
        heard = [message.position.offset for message in self._live.messages if message.position.epoch == top.epoch]
        first = min([delivered + 1, *heard])
        run = [message for message in run_up_to(top.offset, messages) if message.position.offset >= first]
        if top.epoch != last.epoch:
            self._former.leave(last, top)
        self.position = Position(top.epoch, top.offset - len(run))
        self._recent.begin_anew(self.position.offset if searched else 0)
        self._owner.missed()
        for message in run:
            self._advance(message)

    def _go_on(self, *, anew: bool) -> bool:
        """Be LIVE, and take what was kept; return whether it is in accord with the reading.

        Args:
            anew: whether subscribers have just been told that they missed messages: other epochs have ended.
        """
        (kept, old), before = self._live.take(), self.state
        self._awaited = None
        self.state = State.LIVE
        accord = True
        for number, message in enumerate(kept):
            position, last = message.position, self.position
            if position.epoch != last.epoch:
                if number < old:  # it had come before the reading
                    if anew or self._former.has_ended(position.epoch):
                        continue
                    accord = False
            elif position.offset <= last.offset:
                continue
            self.receive(message)
        if self.state is State.LIVE and before is not State.LIVE:
            self._owner.complete()
        return accord
