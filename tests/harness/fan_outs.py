"""The ways to fan out, for tests that hold with each of them."""

from __future__ import annotations

import pytest

from relay.fan_out.library import FanOutUnavailable
from relay.fan_out.ways import BEST_FIRST, Way, check_way

WAYS = list(BEST_FIRST)

NATIVE: list[Way] = ["io_uring", "send"]

EACH_FAN_OUT = ["uvloop io_uring", "asyncio io_uring", "uvloop send", "asyncio send", "uvloop python", "asyncio python"]
"""Clusters that a module asks for, one for each way and each event loop; see `cluster`."""


def need(way: str) -> None:
    """Skip the test where there is no such way: without a C compiler, or where io_uring is forbidden."""
    for known in BEST_FIRST:
        if known == way:
            try:
                check_way(known)
            except FanOutUnavailable as error:
                pytest.skip(f"no fan-out by {way}: {error}")
