"""What a gateway has at hand of a channel's history, and what clients that join the channel get of it."""

from __future__ import annotations

from relay.message import PositionedMessage
from relay.namespaces import ChannelOptions
from relay.position import Position
from relay.recovery.reading import Extent, Reading, run_up_to
from relay.recovery.ring import Budget, Ring
from relay.replay import Replay, Resume


class RecentMessages:
    """The newest messages of a channel, the last one that was delivered included.

    Args:
        options: of the channel.
        budget: of the rings of all channels.
    """

    __slots__ = ("_floor", "_ring", "_size", "append")

    def __init__(self, options: ChannelOptions, budget: Budget) -> None:
        self._size = options.history_size
        self._ring = Ring(options.history_size, options.history_bytes, budget)
        self.append = self._ring.append
        # No message up to this offset can be read any more.
        self._floor = 0

    def lacks(self, resume: Resume, last: Position, reading: Reading | None) -> Extent | None:
        """Return what has to be read before a client can join; None: nothing, or it would be of no use.

        Args:
            resume: what the client wants.
            last: the position of the last message that was delivered.
            reading: made for the client already; None: there was none.
        """
        if not isinstance(resume, Position):
            enough = resume <= len(self._ring) or last.offset - len(self._ring) <= self._lowest(last)
            return None if enough or (reading is not None and reading.since == 0) else Extent.ALL
        if resume.epoch != last.epoch or resume.offset > last.offset:
            # This gateway may be behind the one from which the client comes.
            return Extent.SINCE if reading is None else None
        missing = last.offset - resume.offset
        if not self._size or missing <= len(self._ring) or resume.offset < self._lowest(last):
            return None
        if reading is not None and (reading.since == 0 or len(self._known(last, reading)) >= missing):
            return None
        return Extent.ALL

    def replay(self, resume: Resume, last: Position, reading: Reading | None) -> Replay:
        """Return what a client gets that joins now; see `lacks`."""
        if not isinstance(resume, Position):
            if not resume:
                return Replay(last)
            known = self._ring.newest(resume) if resume <= len(self._ring) else self._known(last, reading)
            return Replay(last, known[-resume:])
        missing = last.offset - resume.offset
        if resume.epoch != last.epoch or missing < 0:
            return Replay(last, recovered=False)
        known = self._ring.newest(missing)
        if len(known) < missing:
            known = self._known(last, reading)
        if len(known) < missing:
            return Replay(last, recovered=False)
        return Replay(last, known[-missing:])

    def take(self, reading: Reading, last: Position) -> None:
        """Keep what was read, as far as there is room, if it is more than what is at hand."""
        top = reading.page.top
        if reading.since is None or not self._size or top.epoch != last.epoch or top.offset > last.offset:
            return
        run = run_up_to(top.offset, reading.page.messages)
        lowest = top.offset - len(run)
        if lowest > reading.since:
            self._floor = max(self._floor, lowest)
        live = self._ring.newest(last.offset - top.offset)
        if len(live) == last.offset - top.offset and len(run) + len(live) > len(self._ring):
            self._ring.replace([*run, *live])

    def begin_anew(self, floor: int) -> None:
        """Forget all messages.

        Args:
            floor: no message up to this offset can be read any more; 0: that isn't known.
        """
        self._ring.clear()
        self._floor = floor

    def trim(self) -> None:
        """Keep no more than the channel's share, if there is too much of all channels."""
        self._ring.trim()

    def close(self) -> None:
        """Give back what it uses."""
        self._ring.close()

    def _lowest(self, last: Position) -> int:
        """Return the offset up to which no message can be read: the history has no more room for these either."""
        return max(self._floor, self._ring.dropped, last.offset - self._size)

    def _known(self, last: Position, reading: Reading | None) -> list[PositionedMessage]:
        """Return all messages up to the last one, without a hole, from a reading and from what is at hand."""
        known = self._ring.newest(self._size)
        if reading is None or reading.page.top.epoch != last.epoch:
            return known
        return [*run_up_to(last.offset - len(known), reading.page.messages), *known]
