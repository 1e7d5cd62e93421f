"""What a client waits for before it can join a channel: the bus, and where messages have positions, the history."""

from __future__ import annotations

import asyncio

from relay.errors import Refused, Unavailable
from relay.interest import Acknowledged, Interest
from relay.node import Node
from relay.recovery.reading import Reading
from relay.replay import Resume


async def settled(interest: Interest, awaited: Acknowledged, seconds: float) -> None:
    """Wait until a future is done, or so many seconds; it is shared, so this neither cancels nor raises it.

    `asyncio.wait` does that, too; it takes twice the time, which each client of a new channel would pay.
    """
    loop = asyncio.get_running_loop()
    waiter = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiter.done():
            waiter.set_result(None)

    interest.wait(awaited, wake)
    timer = loop.call_later(seconds, wake)
    try:
        await waiter
    finally:
        timer.cancel()
        interest.forget(awaited, wake)


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
    while True:
        awaited = node.recoveries.prepare(interest.channel, resume, reading)
        if awaited is None:
            if acknowledged.done():
                return waited, reading
            awaited = acknowledged
        waited = True
        await settled(interest, awaited, until - node.clock())
        if not _succeeded(awaited):
            if _succeeded(acknowledged):
                raise Refused(503, Unavailable.HISTORY_TIMEOUT)
            return waited, reading
        if awaited is not acknowledged:
            reading = awaited.result() or reading


def _succeeded(awaited: Acknowledged) -> bool:
    return awaited.done() and not awaited.cancelled() and awaited.exception() is None
