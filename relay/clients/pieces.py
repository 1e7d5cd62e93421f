"""Long lists are worked through in pieces: all others have their turn between these."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final, TypeVar

PIECE_SECONDS: Final = 0.002
"""How long a piece takes at most, but for its last item. Who is on a channel of 50,000 clients is 30 pieces."""

_T = TypeVar("_T")
_R = TypeVar("_R")


async def in_pieces(
    items: Iterable[_T],
    work: Callable[[_T], _R],
    *,
    piece_seconds: float = PIECE_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> list[_R]:
    """Return what comes out for each item, in order; a short list is done in this step.

    Args:
        items: must not change meanwhile.
        work: called with each; what it raises ends this.
        piece_seconds: see `PIECE_SECONDS`.
        clock: returns the time in seconds; it never goes back.
    """
    done: list[_R] = []
    until = clock() + piece_seconds
    for item in items:
        if clock() >= until:
            await asyncio.sleep(0)
            until = clock() + piece_seconds
        done.append(work(item))
    return done
