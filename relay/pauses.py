"""Pauses of periodic work that end together.

A gateway has a dozen things to look at from time to time. Each by a timer of its own would wake an idle process 35
times a second, and waking costs more than the looks: caches are cold, and the event loop has its turn as well.
"""

from __future__ import annotations

import asyncio
import random
from typing import Final

_SHIFT: Final = random.uniform(0.0, 3600.0)  # noqa: S311  # spreads load, guards nothing
"""Of the moments, in seconds, so that the processes of a machine don't all wake at once."""


async def pause(seconds: float) -> None:
    """Sleep until the next of the moments that are so many seconds apart.

    They are the same for all work that pauses so long. A pause that begins at such a moment lasts so long; any other
    one from half to one and a half times as long.
    """
    await asyncio.sleep(seconds_left(asyncio.get_running_loop().time() + _SHIFT, seconds))


def seconds_left(now: float, seconds: float) -> float:
    """Return how long a pause lasts that begins now, in seconds."""
    left = seconds - now % seconds
    # Timers of uvloop may be early by less than a millisecond.
    return left if left >= seconds / 2 else left + seconds
