"""What many want some of, shared out so that no name takes all of it, and none has a fixed share.

Who wants more may have as much as is left for the others. So one alone gets half, the next one half of the rest, and a
newcomer always finds something.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

Names = Sequence[str]
"""What somebody counts under, the narrowest first: such as a client, and then its address. Under the second name may be
taken twice what is left, and so on: a neighbour is left something, too. No two may be the same. Without any name all
that is left may be taken."""

NOBODY: Final[Names] = ()


class FairShares:
    """Some amount that is shared out.

    Args:
        total: of it.

    Attributes:
        left: how much is left; below 0 when one that was alone has taken more than there is.
    """

    def __init__(self, total: int) -> None:
        self._total = self.left = total
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
        return amount <= self.left and all(
            self._taken.get(name, 0) + amount <= times * self.left for times, name in enumerate(names, 1)
        )

    def give_back(self, names: Names, amount: int) -> None:
        """Give back what was taken."""
        self.left += amount
        for name in names:
            if kept := self._taken.pop(name) - amount:
                self._taken[name] = kept
