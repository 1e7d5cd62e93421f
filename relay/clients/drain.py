"""Closes many clients at an even pace, so that they don't all come back at once.

A client that has published must be told the truth with its close: 1001 when all of its messages were published, 1013
when one was not. So it is read no more when its turn comes, and closed once the bus has answered. Normally that
takes a moment; while the bus is away such clients are closed last.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from relay.errors import Disconnect

TURN_SECONDS = 0.02
"""How often the clients are closed that are due: each turn looks through all messages that wait for the bus."""

LAST_TURNS_SECONDS = 5.0
"""How long clients may have their turns at the end. What was read of one costs milliseconds, so this is for thousands
that have sent as much as they could."""


class Closable(Protocol):
    """A client that a drain closes."""

    @property
    def takes_turns(self) -> bool:
        """Whether something that was read of it waits for its turn, and for nothing else."""

    def prepare_to_close(self) -> bool:
        """Publish nothing more; return whether nothing is left to be published."""

    def close(self, disconnect: Disconnect) -> None:
        """Begin the closing handshake."""


async def close_evenly(
    clients: Sequence[Closable],
    seconds: float,
    *,
    flush: Callable[[], None],
    unsettled: Callable[[], Collection[object]],
    settle: Callable[[], Awaitable[None]],
) -> None:
    """Close clients with `Disconnect.GOING_AWAY`, one after the other.

    Args:
        clients: all that are connected now.
        seconds: from the first to the last, evenly spread.
        flush: delivers what was received so far; called before each close, as nothing can follow a close frame.
        unsettled: returns the clients whose messages wait for the bus.
        settle: waits until the bus has answered, or is given up; called for the clients that are left at the end,
            and again while they have turns.
    """
    loop = asyncio.get_running_loop()
    start = loop.time()
    begun = 0
    busy: list[Closable] = []
    while True:
        part = 1.0 if seconds <= 0 else (loop.time() - start) / seconds
        due = min(len(clients), int(part * len(clients)) + 1)
        candidates, begun = [*busy, *clients[begun:due]], due
        prepared = [client.prepare_to_close() for client in candidates]
        waiting = unsettled() if candidates else ()
        busy = []
        for client, empty in zip(candidates, prepared, strict=True):
            if empty and client not in waiting:
                flush()
                client.close(Disconnect.GOING_AWAY)
            else:
                busy.append(client)
        if begun == len(clients):
            break
        pause = TURN_SECONDS if busy else start + seconds * begun / len(clients) - loop.time()
        await asyncio.sleep(max(TURN_SECONDS, pause))
    await _close_last(busy, flush, unsettled, settle)


async def _close_last(
    clients: list[Closable],
    flush: Callable[[], None],
    unsettled: Callable[[], Collection[object]],
    settle: Callable[[], Awaitable[None]],
) -> None:
    """Close each client once all that was read of it has had its turn, and the bus has answered or is given up."""
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + LAST_TURNS_SECONDS
    while clients:
        await settle()
        patient = loop.time() < give_up_at
        # Turns come first: a client's last one may have published something more.
        taking_turns = [not client.prepare_to_close() and client.takes_turns for client in clients]
        waiting = unsettled()
        left = []
        for client, takes_turns in zip(clients, taking_turns, strict=True):
            if patient and (takes_turns or client in waiting):
                left.append(client)
            else:
                flush()
                client.close(Disconnect.GOING_AWAY)
        clients = left
        if clients:
            await asyncio.sleep(TURN_SECONDS)
