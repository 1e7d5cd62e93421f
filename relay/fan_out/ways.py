"""The ways in which a gateway can fan out, and which of them is at work."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, Literal

from relay.fan_out.direct_fan_out import LEAST, DirectFanOut
from relay.fan_out.library import FanOutUnavailable
from relay.subscribers import FanOut

Way = Literal["io_uring", "send", "python"]
"""By batches of io_uring, by `send` without Python in between, or by each client's transport."""

BEST_FIRST: Final[tuple[Way, ...]] = ("io_uring", "send", "python")


def open_fan_out(wanted: Way | Literal["auto"]) -> tuple[Way, FanOut | None]:
    """Return the way that is at work, and what writes so; None: each client writes for itself.

    Args:
        wanted: this one for groups of any size; auto: the first that is there, for those that are large enough.

    Raises:
        FanOutUnavailable: the one that is wanted isn't there.
    """
    if wanted != "auto":
        return wanted, _open(wanted, least=1)
    for way in BEST_FIRST:
        with suppress(FanOutUnavailable):
            return way, _open(way, least=LEAST)
    raise AssertionError("Python is always there")


def check_way(way: Way) -> None:
    """Raise `FanOutUnavailable` when a gateway of this process couldn't fan out so."""
    if (opened := _open(way, least=1)) is not None:
        opened.close()


def _open(way: Way, least: int) -> FanOut | None:
    return None if way == "python" else DirectFanOut(io_uring=way == "io_uring", least=least)
