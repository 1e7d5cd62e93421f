"""How often something may happen from one address."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from relay.limits.address import PerAddress
from relay.limits.limit import Limit, reached, refusal
from relay.limits.rate import Rate
from relay.metrics.counters import Counters

MOST_ADDRESSES: Final = 16_384
"""Addresses that are counted at a time, about 3 MB. From so many, each one needs no rate to be a burden."""

FORGOTTEN_AT_ONCE: Final = 4
"""How many addresses that were quiet for long enough are forgotten with each event: more than can come with it."""


class AddressRate:
    """The rate of one kind of events, for each address by itself.

    The table is bounded: an address that could use its whole burst again is forgotten, and when all are busy, the one
    that was quiet for longest. So one that goes on and on stays, however many others come. What is
    undecided has no bound here: it is as much as waits for a decision.

    Args:
        limit: which one it is.
        per_address: how many events one address may cause in a period, and at once.
        period: seconds.
        counters: where refusals are counted.
        clock: returns seconds; never goes back.
        most_addresses: that are counted at a time.
    """

    def __init__(
        self,
        limit: Limit,
        per_address: PerAddress,
        period: float,
        counters: Counters,
        clock: Callable[[], float],
        most_addresses: int = MOST_ADDRESSES,
    ) -> None:
        self._limit = limit
        self._per_address = per_address
        self._rate = Rate(per_address.most / period, per_address.most) if per_address.most else None
        self._counters = counters
        self._clock = clock
        self._most_addresses = most_addresses
        # See `Rate`; in the order of the last events.
        self._due: OrderedDict[str, float] = OrderedDict()
        # How many events of an address may still turn out to be some.
        self._undecided: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many addresses are counted."""
        return len(self._due)

    def check(self, address: str) -> None:
        """Make sure that one more event may come from an address, though all that are undecided become events.

        Raises:
            Refused: with 429, and the seconds after which it may.
        """
        if self._rate is None or not (self._due or self._undecided):
            return
        key, now = self._per_address.key(address), self._clock()
        due = self._rate.add(self._due.get(key, 0.0), now, self._undecided.get(key, 0))
        if key and (wait := self._rate.wait(due, now)):
            raise refusal(self._limit, self._counters, wait, remote=address)

    def add(self, address: str, events: int = 1) -> None:
        """Count an event, or several that have come together, however many they are."""
        if self._rate is None or not (key := self._per_address.key(address)):
            return
        now = self._clock()
        self._forget(now)
        self._due[key] = self._rate.add(self._due.pop(key, 0.0), now, events)
        if len(self._due) > self._most_addresses:
            self._due.popitem(last=False)
            reached(Limit.ADDRESSES, self._counters, counted=self._limit.label, most=self._most_addresses)

    def take(self, address: str, events: int = 1) -> None:
        """Count events that come together, if one may come; raises as `check` does."""
        self.check(address)
        self.add(address, events)

    def hold(self, address: str) -> None:
        """Hold against an address what may become an event, until `release`; `add` it if it does."""
        if key := self._per_address.key(address):
            self._undecided[key] = self._undecided.get(key, 0) + 1

    def release(self, address: str) -> None:
        """Hold one thing less against an address: it is decided."""
        if key := self._per_address.key(address):
            self._undecided[key] -= 1
            if not self._undecided[key]:
                del self._undecided[key]

    def _forget(self, now: float) -> None:
        """Forget some addresses for which the clock has passed what is kept of them."""
        for _ in range(min(FORGOTTEN_AT_ONCE, len(self._due))):
            key, due = self._due.popitem(last=False)
            if due > now:
                self._due[key] = due
                self._due.move_to_end(key, last=False)
                return
