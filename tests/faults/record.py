"""What a run has seen: messages, what each listener received, and what the gateways said. Times are monotonic."""

from __future__ import annotations

import enum
from collections import Counter
from dataclasses import dataclass, field

from tests.harness.history import Label, Payload


class Fate(enum.Enum):
    """What the relay has told a publisher of a message."""

    PUBLISHED = enum.auto()
    """Nothing else was said: a WebSocket publisher hears of failures only."""
    UNKNOWN = enum.auto()
    """Perhaps not."""
    REFUSED = enum.auto()
    """Certainly not."""


@dataclass(slots=True)
class Sent:
    """A message.

    Args:
        channel: where it was published.
        at: when its publisher began to send it.
        payload: exactly.
        fate: what its publisher was told.
    """

    channel: str
    at: float
    payload: Payload
    fate: Fate = Fate.PUBLISHED


@dataclass(slots=True)
class Hearing:
    """What one listener received on one connection; a polling client has one for all of its polls.

    Args:
        listener: its name.
        slot: number of the gateway.
        channel: what it listened to.
        began: when the relay had said that it hears everything from now on.
        ended: when the connection ended; None: not before the run.
        ending: close code and reason; None when the relay gave none.
        received: messages, each with the time at which it came.
        answers: of a polling client, when each came and whether it said that messages can be missing; None: it is
            another kind of client, which can't be told.
    """

    listener: str
    slot: int
    channel: str
    began: float
    ended: float | None = None
    ending: tuple[int | None, str | None] | None = None
    received: list[tuple[Payload, float]] = field(default_factory=list)
    answers: list[tuple[float, bool]] | None = None


@dataclass(frozen=True, slots=True)
class Gap:
    """An entry `gap` in a gateway's log.

    Args:
        slot: number of the gateway.
        began: from when on messages may have been missed.
        ended: until when.
        channels: how many were concerned.
    """

    slot: int
    began: float
    ended: float
    channels: int


@dataclass(slots=True)
class Record:
    """All of a run.

    Args:
        sent: the messages by their labels.
        hearings: of all listeners.
        closed: how often the relay ended a publishing WebSocket, by close code and reason.
        gaps: of all gateways.
        witnessed: when the witness heard each message on Redis itself; the others were not published.
        blind: when the witness lost sight, because Redis was killed; nothing is published until it sees again.
    """

    sent: dict[Label, Sent] = field(default_factory=dict)
    hearings: list[Hearing] = field(default_factory=list)
    closed: Counter[tuple[int | None, str | None]] = field(default_factory=Counter)
    gaps: list[Gap] = field(default_factory=list)
    witnessed: dict[Label, float] = field(default_factory=dict)
    blind: list[float] = field(default_factory=list)
