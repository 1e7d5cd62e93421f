"""How much of something that is shared one address may hold at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from relay.limits.address import PerAddress
from relay.limits.fair_shares import NO_NAMES, FairShares
from relay.limits.limit import Limit, refusal
from relay.metrics.counters import Counters


class AddressShares:
    """Shares something out to addresses; see `FairShares`.

    When all of it is held, no address is refused here: whatever runs out of it says so.

    Args:
        limit: which one it is.
        per_address: which addresses are counted.
        total: what is shared out.
        counters: where refusals are counted.
    """

    def __init__(self, limit: Limit, per_address: PerAddress, total: int, counters: Counters) -> None:
        self._limit = limit
        self._per_address = per_address
        self._shares = FairShares(total)
        self._counters = counters

    def __len__(self) -> int:
        """Return how many addresses hold some."""
        return len(self._shares)

    @contextmanager
    def held(self, address: str, amount: int) -> Iterator[None]:
        """Let an address hold some while the block runs.

        Raises:
            Refused: with 429, it would hold more than is left for others.
        """
        key = self._per_address.key(address)
        names = (key,) if key else NO_NAMES
        if not self._shares.take(names, amount):
            if self._shares.may_take(NO_NAMES, amount):
                raise refusal(self._limit, self._counters, remote=address)
            yield
            return
        try:
            yield
        finally:
            self._shares.give_back(names, amount)
