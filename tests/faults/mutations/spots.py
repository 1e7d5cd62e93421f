"""Where lies can be told in a right history."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.operations import (
    Acknowledged,
    AnyOperation,
    Ended,
    Fault,
    Finished,
    History,
    Published,
    Received,
    Subscribed,
    ToldMissed,
)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a session's life between two moments at which it was told something.

    Args:
        begun: the place in the history where it begins.
        came: the places where it got messages.
        told: the place where it was told something at last; None: it was not.
    """

    begun: int
    came: list[int]
    told: int | None


class Spots:
    """A history, and where things are in it.

    Args:
        history: a right one.

    Attributes:
        history: the same.
        published: how the messages were published, by their labels.
        acknowledged: where they were acknowledged, likewise.
        receipts: where sessions got messages.
        finished: where the run was over.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.published: dict[str, Published] = {}
        self.acknowledged: dict[str, int] = {}
        self.receipts: list[int] = []
        self.finished = 0
        self._published: dict[str, int] = {}
        self._known: dict[str, int] = {}
        self._operations: dict[str, list[int]] = {}
        self._positions: dict[str, str] = {}
        self._forgotten_at = 0.0
        for index, operation in enumerate(history):
            self._read(index, operation)
        self.stretches = {name: list(self._stretches(places)) for name, places in self._operations.items()}

    def _read(self, index: int, operation: AnyOperation) -> None:
        match operation:
            case Published():
                self.published[operation.message] = operation
                self._published[operation.message] = index
            case Acknowledged():
                self.acknowledged[operation.message] = index
            case Received():
                self.receipts.append(index)
                self._operations[operation.session].append(index)
            case Subscribed():
                self._operations[operation.session] = [index]
            case ToldMissed() | Ended():
                self._operations[operation.session].append(index)
            case Fault() if operation.forgets:
                self._forgotten_at = max(self._forgotten_at, operation.ended)
            case Finished():
                self.finished = index
        if isinstance(operation, Received | Acknowledged):
            self._known.setdefault(operation.message, index)
            if operation.position is not None:
                self._positions.setdefault(operation.message, operation.position)

    def _stretches(self, places: list[int]) -> Iterator[Stretch]:
        begun, came = places[0], list[int]()
        for index in places[1:]:
            if isinstance(self.history[index], Received):
                came.append(index)
            else:
                yield Stretch(begun, came, index)
                begun, came = index, []
        if not isinstance(self.history[begun], Ended):
            yield Stretch(begun, came, None)

    # One operation.

    def received(self, index: int) -> Received:
        """Return the receipt at a place."""
        operation = self.history[index]
        assert isinstance(operation, Received)
        return operation

    def subscribed(self, session: str) -> Subscribed:
        """Return how a session began."""
        operation = self.history[self._operations[session][0]]
        assert isinstance(operation, Subscribed)
        return operation

    def acknowledgement(self, message: str) -> Acknowledged:
        """Return how a message was acknowledged."""
        operation = self.history[self.acknowledged[message]]
        assert isinstance(operation, Acknowledged)
        return operation

    def may_be_twice(self, index: int) -> bool:
        """Tell whether what was received at a place may have been published twice, as Redis forgot its key."""
        return self._may_be_twice(self.received(index).message)

    def _may_be_twice(self, message: str) -> bool:
        operation = self.published[message]
        return operation.keyed and operation.at <= self._forgotten_at

    def epoch(self, index: int) -> str | None:
        """Return the epoch of what was received at a place, if it came with one."""
        position = self.received(index).position
        return position.rpartition(":")[0] if position else None

    def follows(self, one: str, other: str) -> bool:
        """Tell whether a message was published when another one had been acknowledged."""
        return one in self.acknowledged and self.acknowledged[one] < self._published[other]

    def was_published(self, message: str, index: int) -> bool:
        """Tell whether a message had been published before a place."""
        return self._published[message] < index

    def was_acknowledged_at_its_position(self, receipt: int, index: int) -> bool:
        """Tell whether what came at a place had been acknowledged before another one, with the same position."""
        operation = self.received(receipt)
        where = self.acknowledged.get(operation.message, index)
        acknowledged = self.history[where]
        same = isinstance(acknowledged, Acknowledged) and acknowledged.position == operation.position
        return where < index and same

    def was_known(self, message: str, index: int) -> bool:
        """Tell whether a message had been acknowledged, or had come to somebody, before a place."""
        return self._known.get(message, index) < index

    # Sessions.

    def end_of(self, session: str) -> int:
        """Return the place before which a session goes on."""
        last = self._operations[session][-1]
        return last if isinstance(self.history[last], Ended) else self.finished

    def open_at(self, index: int) -> list[str]:
        """Return the sessions that are there at a place."""
        return [session for session, places in self._operations.items() if places[0] < index <= self.end_of(session)]

    def is_open_ended(self, session: str) -> bool:
        """Tell whether a session is there at the end."""
        return self.end_of(session) == self.finished

    def is_told_by_words(self, session: str) -> bool:
        """Tell whether the rule for a session is that it is told before it sees a later message, whenever it ends."""
        return self.subscribed(session).kind != "websocket" or self.is_open_ended(session)

    # Stretches.

    def followed(self) -> list[tuple[int, int]]:
        """Return receipts that must not be missing, each with one of what was published later."""
        found = []
        for session, stretches in self.stretches.items():
            if not self.is_told_by_words(session):
                continue
            for stretch in stretches:
                owed = [index for index in stretch.came if self.is_owed(index, stretch)]
                for index in owed:
                    message = self.received(index).message
                    later = (
                        other
                        for other in stretch.came[bisect_right(stretch.came, index) :]
                        if not self.may_be_twice(other)
                    )
                    for other in later:
                        if self.follows(message, self.received(other).message):
                            found.append((index, other))
                            break
        return found

    def is_owed(self, index: int, stretch: Stretch) -> bool:
        """Tell whether what was received at a place had to come, because it was published in that stretch."""
        message = self.received(index).message
        published_in_it = self._published[message] > stretch.begun
        return published_in_it and message in self.acknowledged and not self.may_be_twice(index)

    def lacking(self, session: str, stretch: Stretch) -> list[str]:
        """Return acknowledged messages that a session didn't get, and that were published in a stretch."""
        got = {self.received(index).message for part in self.stretches[session] for index in part.came}
        channel = self.subscribed(session).channel
        end = len(self.history) if stretch.told is None else stretch.told
        return [
            label
            for label, message in self.published.items()
            if message.channel == channel
            and not self._may_be_twice(label)
            and label not in got
            and label in self.acknowledged
            and stretch.begun < self._published[label] < end
        ]

    def resumed(self) -> dict[str, Stretch]:
        """Return the sessions that lack nothing since their positions, with their first stretches."""
        return {
            session: stretches[0]
            for session, stretches in self.stretches.items()
            if self.subscribed(session).recovered and stretches
        }

    def goes_on_where_it_was(self, session: str) -> bool:
        """Tell whether a session goes on right behind the last message that its subscriber got."""
        operation, begun = self.subscribed(session), self._operations[session][0]
        last: list[int] = []
        for name, places in self._operations.items():
            if places[0] < begun and self.subscribed(name).subscriber == operation.subscriber:
                last = self.stretches[name][-1].came[-1:]
        return last != [] and self.received(last[0]).position == operation.since

    def lacking_since(self, session: str) -> list[str]:
        """Return messages that a session lacks since the position it had asked for, in the same epoch."""
        since = self.subscribed(session).since
        assert since is not None
        epoch, _, offset = since.rpartition(":")
        begun = self._operations[session][0]
        got = {self.received(index).message for part in self.stretches[session] for index in part.came}
        return [
            label
            for label, position in self._positions.items()
            if position.rpartition(":")[0] == epoch
            and int(position.rpartition(":")[2]) > int(offset)
            and not self._may_be_twice(label)
            and label not in got
            and self.was_known(label, begun)
        ]

    def told_between(self) -> Iterator[tuple[str, Stretch, Stretch]]:
        """Yield two stretches of a session that are divided by a word of the relay."""
        for session, stretches in self.stretches.items():
            for before, after in pairwise(stretches):
                yield session, before, after
