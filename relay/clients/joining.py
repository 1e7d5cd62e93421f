"""What a client waits for before it can join a channel: the bus, and where messages have positions, the history."""

from __future__ import annotations

from relay.errors import Refused, SubscribeError, Unavailable
from relay.interest import Acknowledged, Interest
from relay.node import Node
from relay.position import Position
from relay.protocols.multiplexed import ANY_EPOCH
from relay.recovery.reading import Reading
from relay.replay import Resume


async def prepared(
    node: Node, interest: Interest, acknowledged: Acknowledged, resume: Resume, seconds: float
) -> tuple[bool, Reading | None]:
    """Wait until a client can join a channel with positions.

    Args:
        node: hub and broker.
        interest, acknowledged: of the client's claim on the channel; see `Node.claim`.
        resume: what the client wants of the messages before.
        seconds: for which it waits at most.

    Returns:
        Whether it has waited, and what was read for it. The bus may not have acknowledged the claim: then it refuses
        it, or the time is over.

    Raises:
        Refused: with 503; the bus has acknowledged the claim, but the history could not be read in time.
    """
    waited, reading = False, None
    until = node.clock() + seconds
    while not acknowledged.done() or _succeeded(acknowledged):
        awaited = node.recoveries.prepare(interest.channel, resume, reading)
        if awaited is None:
            if acknowledged.done():
                return waited, reading
            awaited = acknowledged
        waited = True
        await interest.settled(awaited, until - node.clock())
        if not _succeeded(awaited):
            if _succeeded(acknowledged):
                raise Refused(503, Unavailable.HISTORY_TIMEOUT)
            return waited, reading
        if awaited is not acknowledged:
            reading = awaited.result() or reading
    return waited, reading


async def resumed(
    node: Node, interest: Interest, acknowledged: Acknowledged, resume: Resume, until: float
) -> tuple[Resume, Reading | None]:
    """Wait until a client can join a channel that may have positions, or not.

    Args:
        node: hub and broker.
        interest, acknowledged: of the client's claim on the channel; see `Node.claim`.
        resume: what the client wants of the messages before. A position of any epoch is one of the channel's.
        until: loop time at which it waits no longer.

    Returns:
        What it wants, and what was read for it.

    Raises:
        Refused, SubscribeError: it can't join, or not in time.
    """
    reading, channel = None, interest.channel
    if interest.positioned:
        if isinstance(resume, Position) and resume.epoch == ANY_EPOCH:
            await prepared(node, interest, acknowledged, 0, until - node.clock())
            check_acknowledged(channel, acknowledged)
            top = node.recoveries.position(channel)
            assert top is not None, "the channel has been opened"
            resume = Position(top.epoch, resume.offset)
        _, reading = await prepared(node, interest, acknowledged, resume, until - node.clock())
    elif not acknowledged.done():
        await interest.settled(acknowledged, until - node.clock())
    check_acknowledged(channel, acknowledged)
    return resume, reading


def check_acknowledged(channel: str, acknowledged: Acknowledged) -> None:
    """Raise `SubscribeError` when the bus has not acknowledged a channel, or has refused it."""
    if not acknowledged.done():
        raise SubscribeError(channel, "the bus did not acknowledge it in time")
    if acknowledged.cancelled() or acknowledged.exception() is not None:
        raise SubscribeError(channel, "the bus refused it")


def _succeeded(awaited: Acknowledged) -> bool:
    return awaited.done() and not awaited.cancelled() and awaited.exception() is None
