"""A history, sorted by what it is about: messages, sessions and channels, in one pass."""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from tests.faults.judge.calm import Calm
from tests.faults.operations import (
    Acknowledged,
    Ended,
    Fault,
    Finished,
    History,
    Leftover,
    Present,
    Published,
    Readiness,
    Received,
    Refused,
    Setup,
    Subscribed,
    ToldMissed,
)

NEVER: Final = sys.maxsize
"""The place of an operation that is not in the history."""

Place = tuple[str, int]
"""A position: epoch and offset."""


class Message:
    """What is known of a message. "Where" is the place of an operation in the history.

    Attributes:
        operation: how it was published.
        published: where.
        acknowledged: where, or `NEVER`.
        refused: where, or `NEVER`.
        settled_at: when either of the two was; infinite: never.
        known: where it was first acknowledged or received; `NEVER`.
        text: its position, as it was first told; None: no one was told.
        position: the same.
        placed: where it was first told; `NEVER`.
        twice: whether it may have been published twice, because Redis had forgotten its idempotency key.
    """

    __slots__ = (
        "acknowledged",
        "known",
        "operation",
        "placed",
        "position",
        "published",
        "refused",
        "settled_at",
        "text",
        "twice",
    )

    def __init__(self, operation: Published, published: int) -> None:
        self.operation = operation
        self.published = published
        self.acknowledged = self.refused = self.known = self.placed = NEVER
        self.settled_at = float("inf")
        self.text: str | None = None
        self.position: Place | None = None
        self.twice = False

    @property
    def label(self) -> str:
        """Its label."""
        return self.operation.message

    def __str__(self) -> str:
        return self.label + (f" ({self.text})" if self.text else "")


class Session:
    """What is known of a session.

    Attributes:
        operation: how it began.
        begun: where.
        messages: what came, each once, in its order; without what may have been published twice.
        received: where, likewise.
        doubles: what came again, and where.
        missed: where it was told that messages may be missing.
        ended: where; `NEVER`.
        start: after which position nothing may be missing; None: there is none.
        positioned: whether its messages come with positions.
    """

    __slots__ = ("begun", "doubles", "ended", "messages", "missed", "operation", "positioned", "received", "start")

    def __init__(self, operation: Subscribed, begun: int) -> None:
        self.operation = operation
        self.begun = begun
        self.messages: list[Message] = []
        self.received: list[int] = []
        self.doubles: list[tuple[Message, int]] = []
        self.missed: list[int] = []
        self.ended = NEVER
        self.start = place_of(operation.since if operation.recovered else operation.position)
        self.positioned = False

    @property
    def name(self) -> str:
        """Its name."""
        return self.operation.session

    def __str__(self) -> str:
        return f"session {self.name} ({self.operation.kind}, {self.operation.channel})"


class Channel:
    """What is known of a channel.

    Attributes:
        name: of it.
        messages: that were published there.
        sessions: that have heard it.
        positions: the messages at them.
    """

    __slots__ = ("messages", "name", "positions", "sessions")

    def __init__(self, name: str) -> None:
        self.name = name
        self.messages: list[Message] = []
        self.sessions: list[Session] = []
        self.positions: dict[str, Message] = {}


class Evidence:
    """A history, sorted.

    Args:
        history: what was recorded.

    Attributes:
        history: the same.
        setup: of the run; None: it is missing.
        finished: where; `NEVER`.
        messages: by their labels.
        sessions: by their names.
        channels: by their names.
        strange: where something came that was not published there in this way.
        clashes: a message at two positions, or two at one: the message, and where each of the two was told.
        contradictions: why the record can't be true, in words.
        calm: when there were no faults.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.setup: Setup | None = None
        self.finished = NEVER
        self.messages: dict[str, Message] = {}
        self.sessions: dict[str, Session] = {}
        self.channels: dict[str, Channel] = {}
        self.strange: list[int] = []
        self.clashes: list[tuple[Message, int, int]] = []
        self.contradictions: list[str] = []
        self.faults: list[Fault] = []
        self.readiness: list[tuple[int, Readiness]] = []
        self.present: list[tuple[int, Present]] = []
        self.leftovers: list[tuple[int, Leftover]] = []
        self._read()
        self.calm = Calm(((fault.at, fault.ended) for fault in self.faults), history[0].at if history else 0.0)
        self._mark_forgotten()
        for session in self.sessions.values():
            _set_doubles_apart(session)
        # Faults stand behind their times: the greatest time so far is that of the record.
        self._times = list(accumulate((operation.at for operation in history if type(operation) is not Fault), max))
        self._timed = [index for index, operation in enumerate(history) if type(operation) is not Fault]

    def first_after(self, at: float) -> int:
        """Return the place of the first operation at this time or later; `NEVER`: there is none."""
        found = bisect_left(self._times, at)
        return self._timed[found] if found < len(self._timed) else NEVER

    def clock(self, index: int) -> str:
        """Return when an operation was, in seconds since the first one, in words."""
        return f"{self.history[index].at - self.history[0].at:.3f} s"

    def _read(self) -> None:
        for index, operation in enumerate(self.history):
            match operation:
                case Received():
                    self._take_received(index, operation)
                case Published():
                    self._take_published(index, operation)
                case Acknowledged() | Refused():
                    self._take_outcome(index, operation)
                case Subscribed():
                    self._take_subscribed(index, operation)
                case Ended() | ToldMissed():
                    self._take_told(index, operation)
                case Fault():
                    self.faults.append(operation)
                case Readiness():
                    self.readiness.append((index, operation))
                case Present():
                    self.present.append((index, operation))
                case Leftover():
                    self.leftovers.append((index, operation))
                case Setup():
                    self.setup = operation
                case Finished():
                    self.finished = index

    def _channel(self, name: str) -> Channel:
        channel = self.channels.get(name)
        if channel is None:
            channel = self.channels[name] = Channel(name)
        return channel

    def _take_published(self, index: int, operation: Published) -> None:
        if operation.message in self.messages:
            self.contradictions.append(f"{operation.message} was published twice, in the record")
            return
        message = self.messages[operation.message] = Message(operation, index)
        self._channel(operation.channel).messages.append(message)

    def _take_outcome(self, index: int, operation: Acknowledged | Refused) -> None:
        message = self.messages.get(operation.message)
        if message is None or min(message.acknowledged, message.refused) is not NEVER:
            self.contradictions.append(f"{operation.message} has an outcome too many")
            return
        message.settled_at = operation.at
        if isinstance(operation, Refused):
            message.refused = index
            return
        message.acknowledged = index
        message.known = min(message.known, index)
        self._place(index, message, operation.position)

    def _take_subscribed(self, index: int, operation: Subscribed) -> None:
        if operation.session in self.sessions:
            self.contradictions.append(f"session {operation.session} has begun twice")
            return
        session = self.sessions[operation.session] = Session(operation, index)
        self._channel(operation.channel).sessions.append(session)

    def _take_told(self, index: int, operation: Ended | ToldMissed) -> None:
        session = self._open_session(operation.session)
        if session is None:
            return
        if isinstance(operation, ToldMissed):
            session.missed.append(index)
        elif self.finished is NEVER:
            session.ended = index

    def _take_received(self, index: int, operation: Received) -> None:
        session = self._open_session(operation.session)
        if session is None:
            return
        message = self.messages.get(operation.message)
        if (
            message is None
            or message.operation.digest != operation.digest
            or message.operation.channel != session.operation.channel
        ):
            self.strange.append(index)
            return
        if message.known > index:
            message.known = index
        if operation.position is not None:
            session.positioned = True
            if operation.position != message.text:
                self._place(index, message, operation.position)
        session.messages.append(message)
        session.received.append(index)

    def _open_session(self, name: str) -> Session | None:
        session = self.sessions.get(name)
        if session is None or session.ended is not NEVER:
            self.contradictions.append(f"session {name} goes on, and isn't there")
            return None
        return session

    def _place(self, index: int, message: Message, text: str | None) -> None:
        """Note that a message was told to be at a position."""
        if text is None:
            return
        other = self.channels[message.operation.channel].positions.setdefault(text, message)
        if message.text is None:
            message.text, message.position, message.placed = text, place_of(text), index
        elif message.text != text:
            self.clashes.append((message, message.placed, index))
        if other is not message:
            self.clashes.append((message, other.placed, index))

    def _mark_forgotten(self) -> None:
        """Mark what may have been published twice, because Redis had lost its idempotency key between two tries."""
        faults = [fault for fault in self.faults if fault.forgets]
        for message in self.messages.values():
            if message.operation.keyed:
                began, ended = message.operation.at, message.settled_at
                message.twice = any(fault.at <= ended and began <= fault.ended for fault in faults)


def place_of(text: str | None) -> Place | None:
    """Return the position that a text names."""
    if text is None:
        return None
    epoch, _, offset = text.rpartition(":")
    return epoch, int(offset)


def _set_doubles_apart(session: Session) -> None:
    """Leave each message once in what a session has received."""
    if len(set(session.messages)) == len(session.messages) and not any(message.twice for message in session.messages):
        return
    seen = set[Message]()
    messages, received = session.messages, session.received
    session.messages, session.received = [], []
    for message, index in zip(messages, received, strict=True):
        if message in seen:
            session.doubles.append((message, index))
        elif not message.twice:
            session.messages.append(message)
            session.received.append(index)
        seen.add(message)


def received_before(session: Session, limit: int) -> Iterator[tuple[Message, int]]:
    """Yield what a session has received before a place of the history, and where."""
    end = bisect_left(session.received, limit)
    return zip(session.messages[:end], session.received[:end], strict=True)
