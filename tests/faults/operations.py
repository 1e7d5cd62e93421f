"""What a run of faults records: everything that clients did and saw, in the order in which it happened.

One process records all, so there is one clock and one order. Times are monotonic seconds. Positions are written
`EPOCH:OFFSET`, as the relay does.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["websocket", "events", "polls", "centrifuge"]
"""How a subscriber is connected. A `websocket` of the plain protocol can be told of missed messages by its close alone.
Each channel of a `centrifuge` client is a subscriber, with sessions of its own: from the reply with which one begins to
the push that ends it, or to the end of the connection."""

Keeps = Literal["history", "positions", "plain"]
"""What the relay keeps of a channel: its messages, their number alone, or nothing."""


# Millions of operations are kept, and none refers to another: the collector need not look at them.
class Operation(msgspec.Struct, frozen=True, tag=True, omit_defaults=True, kw_only=True, gc=False):
    """One thing that happened.

    Args:
        at: when.
    """

    at: float


class Setup(Operation, frozen=True, tag=True, gc=False):
    """What a run consists of; its first operation.

    Args:
        seed: chooses the faults.
        channels: what is kept of each.
        gateways: how many there are, numbered from 0.
        on_gap: `RELAY_ON_GAP`.
        gap_seconds: `RELAY_GAP_SECONDS`.
    """

    seed: int
    channels: dict[str, Keeps]
    gateways: int
    on_gap: Literal["close", "keep"] = "close"
    gap_seconds: float = 30.0


class Published(Operation, frozen=True, tag=True, gc=False):
    """A publisher has begun to publish a message. Without an outcome its fate is unknown.

    Args:
        message: its label, unique in the run; the payload begins with it.
        publisher: who publishes. One publisher waits for the outcome of a message before it publishes the next one.
        channel: where.
        digest: of the whole payload, so that an altered one is noticed.
        keyed: whether it has an idempotency key, and is sent again until there is an answer.
    """

    message: str
    publisher: str
    channel: str
    digest: str
    keyed: bool = False


class Acknowledged(Operation, frozen=True, tag=True, gc=False):
    """The relay has said that a message is published.

    Args:
        message: its label.
        position: what the relay said; None: the channel has no positions.
    """

    message: str
    position: str | None = None


class Refused(Operation, frozen=True, tag=True, gc=False):
    """The relay has said that a message is not published, and won't be.

    Args:
        message: its label.
    """

    message: str


class Subscribed(Operation, frozen=True, tag=True, gc=False):
    """The relay has said that a subscriber hears a channel from now on.

    Args:
        session: names this connection, or row of polls without a break.
        subscriber: who comes back by other sessions. It doesn't publish in this channel: its own messages don't come.
        kind: how.
        channel: which.
        since: the position after which it asked to go on; None: it asked for none.
        recovered: what the relay said: whether nothing is missing since then; None: nothing was asked. A stream of
            events whose first word is `missed` may have True here, and `ToldMissed` behind it.
        position: after which message the relay said that the session begins; None: it said nothing. Not looked at when
            `recovered` is true.
        gateway: number of the gateway, if it is known.
        speechless: whether nothing but its close can tell it of missed messages, though its kind has words for that: a
            plain channel which a Centrifuge client has with its connection.
    """

    session: str
    subscriber: str
    kind: Kind
    channel: str
    since: str | None = None
    recovered: bool | None = None
    position: str | None = None
    gateway: int | None = None
    speechless: bool = False


class Received(Operation, frozen=True, tag=True, gc=False):
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


class ToldMissed(Operation, frozen=True, tag=True, gc=False):
    """The relay has told a session that messages may be missing; it goes on.

    An answer to a poll says with one word that messages may be missing before its own, among or right behind them. It
    is recorded as one of these before each of its messages, and one behind the last.

    Args:
        session: which.
        position: after which it goes on; None: the relay named none.
    """

    session: str
    position: str | None = None


class Ended(Operation, frozen=True, tag=True, gc=False):
    """A session has ended: the subscriber knows that it may miss something until it is back. Not recorded of sessions
    that are open at the end of the run.

    Args:
        session: which.
        code: WebSocket close code, or the one with which a subscription was ended; None: the connection broke, its kind
            has no codes, or the subscriber left.
    """

    session: str
    code: int | None = None


class Present(Operation, frozen=True, tag=True, gc=False):
    """What the relay said of who is on a channel, after everything had come to rest. The last of each channel counts.

    Args:
        channel: which.
        users: those that the relay named, each as often as it named them.
        expected: those that are connected.
    """

    channel: str
    users: tuple[str, ...]
    expected: tuple[str, ...]


class Fault(Operation, frozen=True, tag=True, gc=False):
    """A fault was injected. It is recorded once it was healed, so not in its place; its times count.

    Args:
        kind: a name, such as "redis killed".
        detail: what exactly, in words.
        ended: when it was healed.
        forgets: whether Redis may have lost by it what it had: messages, and idempotency keys.
        gateway: number of the gateway that it concerns alone; None: it concerns all, or that isn't known.
    """

    kind: str
    detail: str
    ended: float
    forgets: bool = False
    gateway: int | None = None


class Readiness(Operation, frozen=True, tag=True, gc=False):
    """What a gateway said of itself, beside whether messages got through it.

    Args:
        gateway: its number.
        ready: what `/readyz` said; False: there was no answer.
        passing: whether a message that was published through this gateway at about this time came back by it; None:
            it isn't known.
    """

    gateway: int
    ready: bool
    passing: bool | None = None


class Leftover(Operation, frozen=True, tag=True, gc=False):
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


class Finished(Operation, frozen=True, tag=True, gc=False):
    """All that was owed to anybody has had its time: no fault is left, all channels have their last messages, and
    `gap_seconds` are over since the gateways heard again. Subscribers listen until then. What is there and who is left
    over may be asked after it.
    """


AnyOperation = (
    Setup
    | Published
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
    | Finished
)

History = list[AnyOperation]
"""In the order in which it was recorded."""
