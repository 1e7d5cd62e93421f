"""What faults have in common."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import Literal, NamedTuple

from tests.faults.clients.crowd import Crowd
from tests.faults.stack.stack import Stack

Family = Literal["gateways", "redis", "bus networks", "client networks", "readers"]
"""Two faults of one family are never there at the same time; any others may be."""


class Injected(NamedTuple):
    """A fault that was injected and healed.

    Args:
        detail: what exactly was done.
        gateway: number of the only gateway that it concerns; None: there may be others.
    """

    detail: str
    gateway: int | None = None


@dataclass(frozen=True, slots=True)
class Scene:
    """Where faults happen.

    Args:
        stack: gateways and Redis.
        crowd: their clients.
        longest: seconds that a fault may last.
    """

    stack: Stack
    crowd: Crowd
    longest: float

    async def last(self, random: Random, least: float, most: float) -> str:
        """Let a fault last; return for how long, in words. Long ones are rare."""
        seconds = min(self.longest, least + (most - least) * random.random() ** 2)
        await asyncio.sleep(seconds)
        return f"for {seconds:.1f} s"


@dataclass(frozen=True, slots=True)
class Injection:
    """A kind of fault.

    Args:
        kind: its name.
        family: see `Family`.
        inject: does it, and heals it.
        forgets: whether Redis may lose by it what it has.
        unavailable: returns why it can't be had on this machine; empty: it can.
    """

    kind: str
    family: Family
    inject: Callable[[Scene, Random], Awaitable[Injected]]
    forgets: bool = False
    unavailable: Callable[[], str] = str
