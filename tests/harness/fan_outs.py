"""The ways to fan out, for tests that hold with each of them."""

from __future__ import annotations

import pytest

from relay.fan_out.library import FanOutUnavailable
from relay.fan_out.ways import BEST_FIRST, Way, check_way

WAYS = list(BEST_FIRST)

NATIVE: list[Way] = ["io_uring", "send"]

REPEAT = pytest.mark.repeat
"""Marks a case of a whole-process test each part of which other cases have: it is for `make whole-runs` only."""

_PAIRS = [("io_uring", "uvloop"), ("send", "asyncio"), ("python", "asyncio")]
_REPEATS = [("io_uring", "asyncio"), ("send", "uvloop"), ("python", "uvloop")]

EACH_FAN_OUT = [
    *(f"{loop} {way}" for way, loop in _PAIRS),
    *(pytest.param(f"{loop} {way}", marks=REPEAT) for way, loop in _REPEATS),
]
"""Clusters that a module asks for, one for each way and each event loop; see `cluster`."""

each_fan_out_and_loop = pytest.mark.parametrize(
    ("each_fan_out", "event_loop"),
    [*_PAIRS, *(pytest.param(*pair, marks=REPEAT) for pair in _REPEATS)],
    indirect=["each_fan_out"],
)
"""For tests whose gateways have processes of their own, and that want each way and each event loop."""


def need(way: str) -> None:
    """Skip the test where there is no such way: without a C compiler, or where io_uring is forbidden."""
    for known in BEST_FIRST:
        if known == way:
            try:
                check_way(known)
            except FanOutUnavailable as error:
                pytest.skip(f"no fan-out by {way}: {error}")
