"""Polling clients that don't poll at the moment, counted by the network that each comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Protocol


class Evictable(Protocol):
    """A polling client.

    Attributes:
        network: where it comes from; see `relay.limits.address`.
        number: higher than those of clients that came before.
    """

    network: str
    number: int

    def evict(self) -> None:
        """End it as if no poll had come for too long."""


@dataclass(slots=True)
class _Holding:
    """The idle clients of one network by their numbers, and these as a heap, the newest on top.

    Numbers of clients that poll again stay in the heap until they come up, or are most of it.
    """

    clients: dict[int, Evictable] = field(default_factory=dict)
    newest_first: list[int] = field(default_factory=list)

    def add(self, client: Evictable) -> None:
        self.clients[client.number] = client
        heappush(self.newest_first, -client.number)
        if len(self.newest_first) > 2 * len(self.clients) + 8:
            self.newest_first = [-number for number in self.clients]
            heapify(self.newest_first)

    def newest(self) -> Evictable:
        while (number := -self.newest_first[0]) not in self.clients:
            heappop(self.newest_first)
        return self.clients[number]


class IdlePolls:
    """A set of clients that knows which network holds most of it. What it does takes no longer in a larger set.

    Attributes:
        largest: how many clients of that network there are.
    """

    def __init__(self) -> None:
        self._holdings: dict[str, _Holding] = {}
        # Networks by the size of their holdings. A size changes by one at a time, and so does the largest.
        self._networks: dict[int, dict[str, None]] = {}
        self._size = 0
        self.largest = 0

    def __len__(self) -> int:
        """Return the number of clients."""
        return self._size

    def add(self, client: Evictable) -> None:
        """Add a client that is not in the set."""
        holding = self._holdings.setdefault(client.network, _Holding())
        holding.add(client)
        self._size += 1
        self._resized(client.network, len(holding.clients) - 1, len(holding.clients))

    def discard(self, client: Evictable) -> None:
        """Remove a client; nothing happens when it isn't in the set."""
        holding = self._holdings.get(client.network)
        if holding is None or holding.clients.pop(client.number, None) is None:
            return
        size = len(holding.clients)
        if not size:
            del self._holdings[client.network]
        self._size -= 1
        self._resized(client.network, size + 1, size)

    def newest_of_largest(self) -> Evictable:
        """Return the newest client of a network that holds most; the set must not be empty."""
        return self._holdings[next(iter(self._networks[self.largest]))].newest()

    def _resized(self, network: str, before: int, after: int) -> None:
        if before:
            del self._networks[before][network]
            if not self._networks[before]:
                del self._networks[before]
        if after:
            self._networks.setdefault(after, {})[network] = None
        if after > self.largest or self.largest not in self._networks:
            self.largest = after
