"""A history, sorted by what it is about: messages, sessions and channels, in one pass."""

from __future__ import annotations

from bisect import bisect_left
from itertools import accumulate

from tests.faults.judge.calm import Calm
from tests.faults.judge.message import NEVER, Message, Place, place_of
from tests.faults.judge.session import Session
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
        clashes: a message at two positions, or two at one: the message, what is wrong, and where each was told.
        contradictions: why the record can't be true, in words.
        faults: that were injected.
        readiness: what gateways said of themselves, and where.
        present: who was named in the end, and where.
        leftovers: what was left over, and where.
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
        self.clashes: list[tuple[Message, str, int, int]] = []
        self.contradictions: list[str] = []
        self.faults: list[Fault] = []
        self.readiness: list[tuple[int, Readiness]] = []
        self.present: list[tuple[int, Present]] = []
        self.leftovers: list[tuple[int, Leftover]] = []
        self._read()
        self.calm = Calm(self.faults, history[0].at if history else 0.0)
        self._mark_forgotten()
        for session in self.sessions.values():
            session.set_doubles_apart()
        self._join_sessions()
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
        if operation.position not in (None, message.text):
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
                place = self._place(index, message, operation.position)
                if place != message.position:
                    session.otherwise[index] = place
        session.messages.append(message)
        session.received.append(index)

    def _open_session(self, name: str) -> Session | None:
        session = self.sessions.get(name)
        if session is None or session.ended is not NEVER:
            self.contradictions.append(f"session {name} goes on, and isn't there")
            return None
        return session

    def _place(self, index: int, message: Message, text: str) -> Place:
        """Note that a message was told to be at a position, which is not the first one that is known."""
        place = place_of(text)
        other = self.channels[message.operation.channel].positions.setdefault(text, message)
        if other is not message:
            self.clashes.append((message, f"is where {other.label} is: {text}", other.placed, index))
        if message.text is None:
            message.text = text
        elif message.offset_in(place[0]) != place[1]:
            if message.offset_in(place[0]) or place[1] != message.places[0][0][1]:
                self.clashes.append((message, f"is at {text}, too", message.placed, index))
        else:
            return place
        message.places.append((place, index))
        return place

    def _join_sessions(self) -> None:
        """Let sessions that go on begin where those before had come, at the latest: nothing is lost in between."""
        positions: dict[tuple[str, str], Place | None] = {}
        for session in self.sessions.values():
            key = session.operation.subscriber, session.operation.channel
            before, start = positions.get(key), session.start
            if session.operation.recovered and before and start and before[0] == start[0] and before[1] < start[1]:
                session.start = before
            positions[key] = session.last_position(self.history)

    def _mark_forgotten(self) -> None:
        """Mark what may have been published twice, because Redis had lost its idempotency key between two tries."""
        faults = [fault for fault in self.faults if fault.forgets]
        for message in self.messages.values():
            if message.operation.keyed:
                began, ended = message.operation.at, message.settled_at
                message.twice = any(fault.at <= ended and began <= fault.ended for fault in faults)
