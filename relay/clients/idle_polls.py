"""Polling clients that don't poll at the moment, counted by the network that each comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from ipaddress import IPv6Address, ip_network
from typing import TYPE_CHECKING

from relay.proxies.forwarded import read_address

if TYPE_CHECKING:
    from relay.clients.long_poll import PollSubscription

IPV6_NETWORK_BITS = 64
"""What a provider gives to one customer: any address in it is the same customer's (RFC 6177)."""


def network_of(address: str) -> str:
    """Return what is counted as one client's address: an IPv4 address, or the /64 network of an IPv6 one.

    Args:
        address: as `request.remote` has it; "" when there is none, as with a Unix socket.
    """
    found = read_address(address.partition("%")[0])
    if isinstance(found, IPv6Address):
        return str(ip_network((found, IPV6_NETWORK_BITS), strict=False))
    return address if found is None else str(found)


@dataclass(slots=True)
class _Holding:
    """The idle subscriptions of one network by their numbers, and these as a heap, the newest on top.

    Numbers of subscriptions that poll again stay in the heap until they come up, or are most of it.
    """

    subscriptions: dict[int, PollSubscription] = field(default_factory=dict)
    newest_first: list[int] = field(default_factory=list)

    def add(self, subscription: PollSubscription) -> None:
        self.subscriptions[subscription.number] = subscription
        heappush(self.newest_first, -subscription.number)
        if len(self.newest_first) > 2 * len(self.subscriptions) + 8:
            self.newest_first = [-number for number in self.subscriptions]
            heapify(self.newest_first)

    def newest(self) -> PollSubscription:
        while (number := -self.newest_first[0]) not in self.subscriptions:
            heappop(self.newest_first)
        return self.subscriptions[number]


class IdlePolls:
    """A set of subscriptions that knows which network holds most of it. What it does takes no longer in a larger set.

    Attributes:
        largest: how many subscriptions that network holds.
    """

    def __init__(self) -> None:
        self._holdings: dict[str, _Holding] = {}
        # Networks by the size of their holdings. A size changes by one at a time, and so does the largest.
        self._networks: dict[int, dict[str, None]] = {}
        self._size = 0
        self.largest = 0

    def __len__(self) -> int:
        """Return the number of subscriptions."""
        return self._size

    def add(self, subscription: PollSubscription) -> None:
        """Add a subscription that is not in the set."""
        holding = self._holdings.setdefault(subscription.network, _Holding())
        holding.add(subscription)
        self._size += 1
        self._resized(subscription.network, len(holding.subscriptions) - 1, len(holding.subscriptions))

    def discard(self, subscription: PollSubscription) -> None:
        """Remove a subscription; nothing happens when it isn't in the set."""
        holding = self._holdings.get(subscription.network)
        if holding is None or holding.subscriptions.pop(subscription.number, None) is None:
            return
        size = len(holding.subscriptions)
        if not size:
            del self._holdings[subscription.network]
        self._size -= 1
        self._resized(subscription.network, size + 1, size)

    def newest_of_largest(self) -> PollSubscription:
        """Return the newest subscription of a network that holds most; the set must not be empty."""
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
