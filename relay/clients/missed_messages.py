"""Clients whose channels had a gap that could not be filled: they are told, or closed so that they come again.

client           what tells it that messages may be missing
event stream     an event `missed`, in order with the messages
poll             `"missed": true` in its next answer
plain WebSocket  nothing can, as it has no words but those of its channel: it is closed with 1012, unless the operator
                 wants it to stay
Centrifuge       the end of the subscription, which the client begins anew. Of a channel that it has with its
                 connection, the end of that, as for a plain WebSocket; if the channel has positions, it is sent nothing
                 more of it until then: it would count on, and take itself for whole

All clients of a gateway would come back at once, and a handshake costs more than a close. So they are closed evenly
over some time, by one timer for all. One that leaves meanwhile is forgotten. One that waits for its turn keeps it when
there is another gap: it comes back in any case.

Those that can be told are told at once, as each must be before it sees a later message; so does Centrifugo. A new
subscription is one command, without a handshake, and one that asks too often is told to try it later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from heapq import heappop, heappush
from typing import Final, Protocol

from relay.errors import Disconnect
from relay.node import Node

TURN_SECONDS: Final = 0.02
"""How often the clients are closed whose turn it is: each turn looks through all messages that wait for the bus."""


class Closable(Protocol):
    """A client that can be closed; see `relay.clients.registry.Connected`."""

    def prepare_to_close(self) -> bool:
        """Publish nothing more; return whether nothing is left to be published."""

    def close(self, why: Disconnect) -> None:
        """Begin to end it; nothing happens when it is ending already."""


class MissedMessages:
    """Tells clients that they may have missed messages.

    Args:
        node: hub and broker.
        close: whether clients are closed that can't be told otherwise.
        seconds: from the first of them to the last.
    """

    def __init__(self, node: Node, *, close: bool, seconds: float) -> None:
        self._node = node
        # Those that the present gap has added.
        self._newcomers: dict[Closable, Disconnect] = {}
        self._close = close
        self._seconds = seconds
        # The clients that wait, each with the number of its turn, and those of each turn with why they are closed.
        self._turns: dict[Closable, int] = {}
        self._waiting: dict[int, dict[Closable, Disconnect]] = {}
        # The numbers of the turns to come, as a heap.
        self._numbers: list[int] = []
        # Those whose turn has come: they are closed once the bus has answered what they have published.
        self._due: dict[Closable, Disconnect] = {}
        self._begun = asyncio.Event()

    def __len__(self) -> int:
        """Return how many clients wait to be closed."""
        return len(self._turns)

    def tell(self, channels: Collection[str]) -> None:
        """Tell the subscribers of channels, at once, that messages may be missing; see `Node.watch_missed`."""
        for channel in channels:
            position = self._node.recoveries.position(channel)
            for subscriber in self._node.hub.receivers(channel):
                subscriber.missed(channel, position)
        self._spread()

    def close(self, client: Closable, why: Disconnect, *, always: bool = False) -> None:
        """Close a client that can't be told otherwise, when its turn has come. Called while they are told.

        Nothing happens when it waits already, or when the operator wants it to stay.

        Args:
            client: which.
            why: it is closed.
            always: whether it can't stay: it is sent nothing more of the channel.
        """
        if (self._close or always) and client not in self._turns:
            self._newcomers[client] = why

    def discard(self, client: Closable) -> None:
        """Forget a client, which is leaving; nothing happens when it isn't here."""
        self._newcomers.pop(client, None)
        number = self._turns.pop(client, None)
        if number is not None:
            self._due.pop(client, None)
            if number in self._waiting:
                self._waiting[number].pop(client, None)

    def turn(self, at: float) -> None:
        """Close the clients whose turn has come.

        One that has published is told the truth with its close, as in a drain: see `relay.clients.drain`.

        Args:
            at: loop time, in seconds.
        """
        while self._numbers and self._numbers[0] <= at / TURN_SECONDS:
            self._due.update(self._waiting.pop(heappop(self._numbers)))
        if not self._due:
            return
        prepared = [client for client in list(self._due) if client.prepare_to_close()]
        unsettled: Collection[object] = self._node.unsettled()
        for client in prepared:
            if client in unsettled:
                continue
            self._node.hub.flush()  # nothing can follow a close frame
            why = self._due.get(client)
            if why is not None:  # else it had no room for that, and was closed
                self.discard(client)
                client.close(why)

    async def run(self) -> None:
        """Take turns while clients wait, until cancelled."""
        while True:
            await self._begun.wait()
            self.turn(self._node.clock())
            if self._turns:
                await asyncio.sleep(TURN_SECONDS)
            else:
                self._begun.clear()

    def _spread(self) -> None:
        """Give each newcomer its turn."""
        newcomers, self._newcomers = self._newcomers, {}
        now = self._node.clock()
        for place, (client, why) in enumerate(newcomers.items()):
            number = int((now + self._seconds * place / len(newcomers)) / TURN_SECONDS)
            self._turns[client] = number
            if number not in self._waiting:
                self._waiting[number] = {}
                heappush(self._numbers, number)
            self._waiting[number][client] = why
        if newcomers:
            self._begun.set()
