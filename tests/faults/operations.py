"""What a run of faults records: everything that clients did and saw, in the order in which it happened.

One process records all, so there is one clock and one order. Times are monotonic seconds. Positions are written
`EPOCH:OFFSET`, as the relay does.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["websocket", "events", "polls"]
"""How a subscriber is connected. Later protocols add theirs."""


class Operation(msgspec.Struct, frozen=True, tag=True, omit_defaults=True, kw_only=True):
    """One thing that happened.

    Args:
        at: when.
    """

    at: float


class Published(Operation, frozen=True, tag=True):
    """A publisher has begun to publish a message. Without an outcome its fate is unknown.

    Args:
        message: its label, unique in the run; the payload begins with it.
        publisher: who publishes. One publisher waits for the outcome of a message before it publishes the next one.
        channel: where.
        digest: of the whole payload, so that an altered one is noticed.
    """

    message: str
    publisher: str
    channel: str
    digest: str


class Acknowledged(Operation, frozen=True, tag=True):
    """The relay has said that a message is published.

    Args:
        message: its label.
        position: what the relay said; None: the channel has no positions.
    """

    message: str
    position: str | None = None


class Refused(Operation, frozen=True, tag=True):
    """The relay has said that a message is not published, and won't be.

    Args:
        message: its label.
    """

    message: str


class Subscribed(Operation, frozen=True, tag=True):
    """The relay has said that a subscriber hears a channel from now on.

    Args:
        session: names this connection, or row of polls without a break.
        subscriber: who comes back by other sessions.
        kind: how.
        channel: which.
        since: the position after which it asked to go on; None: only live messages.
        recovered: what the relay said: whether nothing is missing since then; None: nothing was asked.
        position: where the relay said that the session begins; None: nowhere.
        gateway: number of the gateway, if it is known.
    """

    session: str
    subscriber: str
    kind: Kind
    channel: str
    since: str | None = None
    recovered: bool | None = None
    position: str | None = None
    gateway: int | None = None


class Received(Operation, frozen=True, tag=True):
    """A message has come.

    Args:
        session: to which.
        message: its label; the payload itself, when it has none.
        digest: of the whole payload.
        position: that came with it; None: none.
    """

    session: str
    message: str
    digest: str
    position: str | None = None


class ToldMissed(Operation, frozen=True, tag=True):
    """The relay has told a session that messages may be missing; it goes on.

    Args:
        session: which.
        position: after which it goes on; None: the relay named none.
    """

    session: str
    position: str | None = None


class Ended(Operation, frozen=True, tag=True):
    """A session has ended: the subscriber knows that it may miss something until it is back.

    Args:
        session: which.
        code: WebSocket close code; None: the connection broke, or its kind has no codes.
    """

    session: str
    code: int | None = None


class Present(Operation, frozen=True, tag=True):
    """What the relay said of who is on a channel, after everything had come to rest.

    Args:
        channel: which.
        users: those that the relay named.
        expected: those that are connected.
    """

    channel: str
    users: tuple[str, ...]
    expected: tuple[str, ...]


class Fault(Operation, frozen=True, tag=True):
    """A fault was injected.

    Args:
        kind: a name, such as "redis killed".
        detail: what exactly, in words.
        ended: when it was healed.
    """

    kind: str
    detail: str
    ended: float


class Readiness(Operation, frozen=True, tag=True):
    """What a gateway said of itself, beside whether messages got through it.

    Args:
        gateway: its number.
        ready: what `/readyz` said.
        passing: whether a message that was published through this gateway at about this time came back by it; None:
            it isn't known.
    """

    gateway: int
    ready: bool
    passing: bool | None = None


class Leftover(Operation, frozen=True, tag=True):
    """Something that was there before the clients came, and again after they had gone.

    Args:
        gateway: its number.
        what: the name of a metric, "descriptors" or "tasks".
        before: how many.
        after: how many.
    """

    gateway: int
    what: str
    before: float
    after: float


History = list[
    Published
    | Acknowledged
    | Refused
    | Subscribed
    | Received
    | ToldMissed
    | Ended
    | Present
    | Fault
    | Readiness
    | Leftover
]
"""In the order in which it was recorded."""
