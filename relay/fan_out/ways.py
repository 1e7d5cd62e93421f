"""The ways in which a gateway can fan out, and which of them is at work."""

from __future__ import annotations

from typing import Final, Literal

from relay.fan_out.direct_fan_out import DirectFanOut
from relay.fan_out.library import Unavailable
from relay.subscribers import FanOut

Way = Literal["io_uring", "send", "python"]
"""By batches of io_uring, by `send` without Python in between, or by each client's transport."""

BEST_FIRST: Final[tuple[Way, ...]] = ("io_uring", "send", "python")


def open_way(way: Way) -> FanOut | None:
    """Return what writes in a way; None: each client writes for itself.

    Raises:
        Unavailable: there is no such way here.
    """
    return None if way == "python" else DirectFanOut(io_uring=way == "io_uring")


def check_way(way: Way) -> None:
    """Raise `Unavailable` when a gateway of this process couldn't fan out so."""
    if (opened := open_way(way)) is not None:
        opened.close()


def open_fan_out(wanted: Way | Literal["auto"]) -> tuple[Way, FanOut | None]:
    """Return the way that is at work, and what writes so; with `auto` the first that is there.

    Raises:
        Unavailable: the one that is wanted isn't there.
    """
    if wanted != "auto":
        return wanted, open_way(wanted)
    for way in BEST_FIRST:
        try:
            return way, open_way(way)
        except Unavailable:
            continue
    raise AssertionError("Python is always there")
