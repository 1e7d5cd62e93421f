"""Garbage collection by time and by memory.

The collector of its own counts new objects, and the thresholds of `relay serve` let it run seldom. A few large objects
in a cycle, such as errors with what was sent, would stay for hours then.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable
from typing import Final

from relay.pauses import pause

YOUNG_SECONDS: Final = 1.0
"""How often new objects are looked at. So often, they are few: about 10 ms for a thousand clients that are new."""

FULL_SECONDS: Final = 60.0
"""Between two looks at all objects, which stop everything for 100 ms with 8,000 clients."""

GROWTH_BYTES: Final = 64 * 1024 * 1024
"""All objects are looked at when memory has grown by so much, and `CLIENT_BYTES` for each client more."""

CLIENT_BYTES: Final = 16 * 1024
"""What a client may cost; an idle one has 2.3 KB. So a gateway that fills up isn't stopped for it."""


async def collect_garbage(
    memory: Callable[[], int],
    clients: Callable[[], int],
    *,
    seconds: float = YOUNG_SECONDS,
    full_seconds: float = FULL_SECONDS,
    growth_bytes: int = GROWTH_BYTES,
) -> None:
    """Collect garbage again and again, until cancelled; does nothing while the program has switched collection off.

    Args:
        memory: returns the bytes that the process has in RAM; 0 where that can't be known.
        clients: returns how many sockets are open.
        seconds: between two looks at new objects.
        full_seconds: at least between two looks at all.
        growth_bytes: see `GROWTH_BYTES`.
    """
    now = asyncio.get_running_loop().time
    expected, looked_at = memory() - clients() * CLIENT_BYTES, now()
    while True:
        await pause(seconds)
        if not gc.isenabled():
            continue
        gc.collect(1)
        unexplained = memory() - clients() * CLIENT_BYTES
        if unexplained > expected + growth_bytes and now() - looked_at >= full_seconds:
            gc.collect()
            expected, looked_at = memory() - clients() * CLIENT_BYTES, now()
