"""An amount that clients share: no name takes all of it, and none has a fixed share.

A name may have as much as is left for the others: one alone gets half, the next one half of the rest. The last part is
for names that have none. Many names can take all of it all the same, but so many that each of them has little.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

Names = Sequence[str]
"""Under what an amount is counted, the narrowest first: such as a client, its user, and its address. Under the second
name may be taken twice what is left, under the third three times, and so on: a neighbour is left something, too. No two
may be the same. An amount without any name may be all that is left."""

NO_NAMES: Final[Names] = ()

LAST_PART: Final = 4
"""The last quarter is for names that have none: of 32 places, halves alone would be used up by six names. So it takes
ten."""


class FairShares:
    """Some amount that is shared out.

    Args:
        total: of it.

    Attributes:
        left: how much is left; below 0 when one that was alone has taken more than there is.
    """

    def __init__(self, total: int) -> None:
        self._total = self.left = total
        self._last = total // LAST_PART
        self._taken: dict[str, int] = {}

    def __len__(self) -> int:
        """Return how many names have some."""
        return len(self._taken)

    def take(self, names: Names, amount: int) -> bool:
        """Take some, if it may be had; return whether it was. One that is alone may have anything.

        Args:
            names: see `Names`.
            amount: above 0.
        """
        if self.left < self._total and not self.may_take(names, amount):
            return False
        self.left -= amount
        for name in names:
            self._taken[name] = self._taken.get(name, 0) + amount
        return True

    def may_take(self, names: Names, amount: int) -> bool:
        """Return whether so much is left, and no more than that would be taken under each name; see `take`."""
        taken = [self._taken.get(name, 0) for name in names]
        if amount > (self.left - self._last if any(taken) else self.left):
            return False
        return all(had + amount <= times * self.left for times, had in enumerate(taken, 1))

    def give_back(self, names: Names, amount: int) -> None:
        """Give back what was taken."""
        self.left += amount
        for name in names:
            if kept := self._taken.pop(name) - amount:
                self._taken[name] = kept
