"""What is known of a session."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from tests.faults.judge.message import NEVER, Message, Place, place_of
from tests.faults.operations import History, Subscribed, ToldMissed


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
        otherwise: positions that it was told of messages, and that are not the first ones, by where.
    """

    __slots__ = (
        "begun",
        "doubles",
        "ended",
        "messages",
        "missed",
        "operation",
        "otherwise",
        "positioned",
        "received",
        "start",
    )

    def __init__(self, operation: Subscribed, begun: int) -> None:
        self.operation = operation
        self.begun = begun
        self.messages: list[Message] = []
        self.received: list[int] = []
        self.doubles: list[tuple[Message, int]] = []
        self.missed: list[int] = []
        self.ended = NEVER
        begin = operation.since if operation.recovered else operation.position
        self.start = place_of(begin) if begin else None
        self.positioned = False
        self.otherwise: dict[int, Place] = {}

    def place(self, number: int) -> Place | None:
        """Return the position of one of its messages, as it was told or else as it is known."""
        return self.otherwise.get(self.received[number]) or self.messages[number].position

    @property
    def name(self) -> str:
        """Its name."""
        return self.operation.session

    def __str__(self) -> str:
        return f"session {self.name} ({self.operation.kind}, {self.operation.channel})"

    @property
    def speechless(self) -> bool:
        """Whether nothing but its close can tell it that messages are missing."""
        return self.operation.kind == "websocket" or self.operation.speechless

    def set_doubles_apart(self) -> None:
        """Leave each message once in what it has received."""
        if len(set(self.messages)) == len(self.messages) and not any(message.twice for message in self.messages):
            return
        seen = set[Message]()
        messages, received = self.messages, self.received
        self.messages, self.received = [], []
        for message, index in zip(messages, received, strict=True):
            if message in seen:
                self.doubles.append((message, index))
            elif not message.twice:
                self.messages.append(message)
                self.received.append(index)
            seen.add(message)

    def received_before(self, limit: int) -> Iterator[tuple[Message, int]]:
        """Yield what it has received before a place of the history, and where."""
        end = bisect_left(self.received, limit)
        return zip(self.messages[:end], self.received[:end], strict=True)

    def last_position(self, history: History) -> Place | None:
        """Return how far it has come at its end; None: that isn't known."""
        if self.messages and (not self.missed or self.received[-1] > self.missed[-1]):
            return self.place(-1)
        if not self.missed:
            return self.start
        told = history[self.missed[-1]]
        assert isinstance(told, ToldMissed)
        return place_of(told.position) if told.position else None
