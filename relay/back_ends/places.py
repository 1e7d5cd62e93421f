"""The places for requests to a back end that are sent at once, and who waits for one."""

from __future__ import annotations

import asyncio

from relay.limits.fair_shares import FairShares, Names


class Places:
    """Gives places to calls that wait, in their order; but no name gets more than its share, and others go before it.

    A client that calls something slow again and again takes half of the places, and the others are asked for meanwhile.

    Args:
        number: of places.
    """

    def __init__(self, number: int) -> None:
        self._shares = FairShares(number)
        self._waiting: dict[asyncio.Future[None], Names] = {}

    @property
    def free(self) -> int:
        """How many places are free."""
        return self._shares.left

    async def take(self, names: Names) -> None:
        """Wait for a place; names as for `FairShares.take`."""
        if self._shares.take(names, 1):
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = names
        try:
            await waiter
        except asyncio.CancelledError:
            if self._waiting.pop(waiter, None) is None:  # it has just got one
                self.give_back(names)
            raise

    def give_back(self, names: Names) -> None:
        """Give back a place, to the first who may have it: perhaps to several, as shares follow what is left."""
        self._shares.give_back(names, 1)
        for waiter, wanted in list(self._waiting.items()):
            if not self._shares.left:
                return
            if not waiter.done() and self._shares.take(wanted, 1):
                del self._waiting[waiter]
                waiter.set_result(None)
