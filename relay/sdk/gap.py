"""A place between two messages of a channel where others may be missing."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

Missed = Callable[[str | None], object]
"""Called where messages may be missing, with the position after which the channel goes on; None: it counts none. What
it returns is awaited if it can be."""


@dataclass(frozen=True, slots=True)
class Gap:
    """One such place.

    Args:
        position: after which the channel goes on; None: it counts no messages.
    """

    position: str | None

    async def tell(self, missed: Missed) -> None:
        """Call a function of the program, and wait until it has ended."""
        told = missed(self.position)
        if inspect.isawaitable(told):
            await told
