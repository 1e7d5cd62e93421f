"""What a client waits for before it can join a channel: the bus, and where messages have positions, the history."""

from __future__ import annotations

from relay.errors import Refused, SubscribeError, Unavailable
from relay.interest import Acknowledged, Interest
from relay.node import Node
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


def check_acknowledged(channel: str, acknowledged: Acknowledged) -> None:
    """Raise `SubscribeError` when the bus has not acknowledged a channel, or has refused it."""
    if not acknowledged.done():
        raise SubscribeError(channel, "the bus did not acknowledge it in time")
    if acknowledged.cancelled() or acknowledged.exception() is not None:
        raise SubscribeError(channel, "the bus refused it")


def _succeeded(awaited: Acknowledged) -> bool:
    return awaited.done() and not awaited.cancelled() and awaited.exception() is None
