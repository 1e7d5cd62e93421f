"""What sessions lack, and whether they were told.

A session is told by `ToldMissed`, and by its end. What lies between two such moments is a stretch: from its start on
nothing may be missing that is proved to come before something that the session got in it. In a session that was never
told nothing at all may be missing when the run has finished.
"""

from __future__ import annotations

import enum
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from tests.faults.judge.channel_order import ChannelOrder
from tests.faults.judge.evidence import Channel, Evidence
from tests.faults.judge.message import NEVER, Message, Place, place_of
from tests.faults.judge.session import Session
from tests.faults.operations import ToldMissed

TOLD_SECONDS = 5.0
"""How long after `gap_seconds` without faults a plain WebSocket may still be open that lacks a message: its gateway has
to notice first, and this machine is busy."""


class Manner(enum.Enum):
    """How a message is missing."""

    LIVE = enum.auto()
    """The session saw a later one, and had not been told."""
    RESUMED = enum.auto()
    """It was there when the relay said that the session lacks nothing since its position."""
    LAST = enum.auto()
    """Nothing came behind it, and the run has finished."""


@dataclass(frozen=True, slots=True)
class Miss:
    """A message that a session lacks without having been told in time.

    Args:
        session: which.
        message: which.
        manner: how.
        later: where it saw a later one; `NEVER`: not at all.
        proved_at: where that is proved.
    """

    session: Session
    message: Message
    manner: Manner
    later: int
    proved_at: int


@dataclass(slots=True)
class Misses:
    """What the sessions of a run lack.

    Attributes:
        untold: without having been told in time.
        told: how many are missing otherwise.
        kept: how many are missing in plain WebSockets which are not told because of `RELAY_ON_GAP=keep`.
    """

    untold: list[Miss]
    told: int = 0
    kept: int = 0


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a session's life in which it was told nothing.

    Args:
        begun: where in the history.
        ended: where; `NEVER`: not at all.
        start: the position after which nothing may be missing; None: there is none.
        first: the number of the first message that came in it, among those of the session.
        last: the same of the one behind the last.
    """

    begun: int
    ended: int
    start: Place | None
    first: int
    last: int


def stretches(session: Session, evidence: Evidence) -> Iterator[Stretch]:
    """Yield the stretches of a session, in their order."""
    begun, start, first = session.begun, session.start, 0
    for told in session.missed:
        last = bisect_left(session.received, told)
        yield Stretch(begun, told, start, first, last)
        operation = evidence.history[told]
        assert isinstance(operation, ToldMissed)
        begun, start, first = told, place_of(operation.position) if operation.position else None, last
    yield Stretch(begun, session.ended, start, first, len(session.messages))


def find_misses(evidence: Evidence, channel: Channel, order: ChannelOrder, misses: Misses) -> None:
    """Note what the sessions of a channel lack."""
    search = _Search(evidence, order, misses)
    for session in channel.sessions:
        search.look(session)


class _Search:
    """Looks for what the sessions of one channel lack."""

    def __init__(self, evidence: Evidence, order: ChannelOrder, misses: Misses) -> None:
        self._evidence = evidence
        self._order = order
        self._misses = misses
        # Of each epoch the offsets that are known, and behind each the number of its message in the order.
        self._offsets: dict[str, list[tuple[int, int]]] = {}
        # Where each epoch was first told.
        self._epochs: dict[str, int] = {}
        for number, message in enumerate(order.messages):
            for (epoch, offset), told in message.places:
                self._offsets.setdefault(epoch, []).append((offset, number))
                self._epochs[epoch] = min(told, self._epochs.get(epoch, told))
        for offsets in self._offsets.values():
            offsets.sort()
        setup = evidence.setup
        self._close_seconds = (setup.gap_seconds if setup else 0.0) + TOLD_SECONDS
        self._keep = setup is not None and setup.on_gap == "keep"

    def look(self, session: Session) -> None:
        """Look at one session."""
        numbers = [self._order.numbers[message] for message in session.messages]
        got = set(numbers)
        before = None
        for stretch in stretches(session, self._evidence):
            heard = sorted(numbers[stretch.first : stretch.last])
            if heard and before is not None:
                self._misses.told += max(0, heard[0] - before - 1)
            before = heard[-1] if heard else before
            # The latest time of publication up to each of what came: whatever was there before is earlier.
            latest = list(accumulate((m.published for m in session.messages[stretch.first : stretch.last]), max))
            for number in self._missing(stretch, heard, got):
                self._judge(session, stretch, number, heard, latest)

    def _missing(self, stretch: Stretch, heard: list[int], got: set[int]) -> Iterator[int]:
        """Yield the numbers of what may be missing in a stretch, in the channel's order."""
        order, start = self._order, stretch.start
        open_ended = stretch.ended is NEVER and self._evidence.finished is not NEVER
        end = len(order.messages) if open_ended else (heard[-1] if heard else 0)
        first = order.first_known_after(stretch.begun)
        begin = min(first, heard[0]) if heard else first
        if start is not None:
            offsets = self._offsets.get(start[0], [])
            beyond = bisect_right(offsets, (start[1], len(order.messages)))
            begin = min([begin, *(number for _, number in offsets[beyond : beyond + 1])])
        came = bisect_left(heard, begin)
        for number in range(begin, end):
            if came < len(heard) and heard[came] == number:
                came += 1
            elif number not in got and self._owed(stretch, number, heard):
                yield number

    def _owed(self, stretch: Stretch, number: int, heard: list[int]) -> bool:
        """Tell whether a message is proved to come behind the start of a stretch, or behind something in it."""
        message, start = self._order.messages[number], stretch.start
        if message.published > stretch.begun:
            return True
        if start and message.offset_in(start[0]) > start[1]:
            return True
        if start and not message.places and message.published < self._epochs.get(start[0], NEVER):
            return False  # no one was told its position: it may have been lost with the epoch before
        following = bisect_left(heard, number)
        if following == 0 or not self._shares_epoch(message, heard[following : following + 1]):
            return False
        return message.published > self._order.known[heard[0]] or self._order.proves(heard[following - 1], number)

    def _shares_epoch(self, message: Message, behind: list[int]) -> bool:
        """Tell whether a message was in the epoch of what came behind it: else it was lost with its own.

        That is told with the change of epochs, and then what is left of the epoch before may come behind that word.
        """
        later = [self._order.messages[number] for number in behind]
        return not message.places or any(one.offset_in(epoch) for one in later for (epoch, _), _ in message.places)

    def _judge(self, session: Session, stretch: Stretch, number: int, heard: list[int], latest: list[int]) -> None:
        """Note that a message is missing, unless that is as it may be."""
        order, evidence = self._order, self._evidence
        message = order.messages[number]
        later = self._later(session, stretch, number, heard, latest)
        if later is NEVER:
            if stretch.ended is NEVER and order.known[number] < evidence.finished < NEVER:
                self._note(Miss(session, message, Manner.LAST, NEVER, evidence.finished))
            return
        proved_at = max(later, order.known[number])
        resumed = session.operation.recovered and stretch.begun == session.begun
        if resumed and order.known[number] < stretch.begun:
            self._note(Miss(session, message, Manner.RESUMED, later, proved_at))
        elif not session.speechless:
            self._note(Miss(session, message, Manner.LIVE, later, proved_at))
        else:
            self._judge_speechless(session, message, later, proved_at)

    def _judge_speechless(self, session: Session, message: Message, later: int, proved_at: int) -> None:
        """Note that a session lacks a message that has no words to be told, unless it was closed in time."""
        evidence = self._evidence
        if self._keep:
            self._misses.kept += 1
            return
        seen_at, gateway = evidence.history[later].at, session.operation.gateway
        limit = evidence.first_after(evidence.calm.after(seen_at, self._close_seconds, gateway))
        if session.ended < limit:
            self._misses.told += 1
        elif (late := min(limit, evidence.finished)) is not NEVER:
            self._note(Miss(session, message, Manner.LIVE, later, max(late, proved_at)))

    def _note(self, miss: Miss) -> None:
        self._misses.untold.append(miss)

    def _later(self, session: Session, stretch: Stretch, number: int, heard: list[int], latest: list[int]) -> int:
        """Return where a stretch brought a message that is proved to come behind another one; `NEVER`: nowhere."""
        order = self._order
        found = len(heard)
        following = bisect_left(heard, number)
        if following < len(heard):
            found = following if order.proves(number, heard[following]) else found
        found = min(found, bisect_right(latest, order.known[number]))
        return session.received[stretch.first + found] if found < len(heard) else NEVER
