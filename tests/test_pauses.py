"""Pauses that end together."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.pauses import pause, seconds_left

MOMENTS = st.floats(0, 1e7)
LENGTHS = st.sampled_from([0.05, 0.1, 0.25, 1.0, 2.0, 10.0])


@given(now=MOMENTS, seconds=LENGTHS)
def test_a_pause_ends_at_one_of_the_moments_and_lasts_about_so_long(now: float, seconds: float) -> None:
    left = seconds_left(now, seconds)
    assert seconds / 2 <= left <= 1.5 * seconds + 1e-6
    moments = (now + left) / seconds
    assert moments == pytest.approx(round(moments), abs=1e-5)


@given(number=st.integers(0, 10**6), early=st.floats(-0.2, 0.2), seconds=LENGTHS)
def test_work_that_is_woken_early_or_late_is_woken_at_the_next_moment(
    number: int, early: float, seconds: float
) -> None:
    """Not twice at the same, and with none left out."""
    woken = (number + early) * seconds
    assert woken + seconds_left(woken, seconds) == pytest.approx((number + 1) * seconds, abs=1e-5)


async def test_a_pause_is_slept() -> None:
    now = asyncio.get_running_loop().time
    begun = now()
    await pause(0.1)
    assert now() - begun >= 0.049  # half of it; timers of uvloop may be early by less than a millisecond
