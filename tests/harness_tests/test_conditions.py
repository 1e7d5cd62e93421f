"""Waiting ends when the condition holds, and says what didn't come otherwise."""

from __future__ import annotations

import time

import pytest

from tests.harness.conditions import ConditionTimeout, stays_true, wait_until, wait_until_blocking


async def test_waiting_ends_when_a_condition_holds() -> None:
    began = time.monotonic()
    await wait_until(lambda: time.monotonic() - began > 0.05)
    assert time.monotonic() - began < 10


async def test_a_condition_may_be_asynchronous() -> None:
    calls = 0

    async def third_time() -> bool:
        nonlocal calls
        calls += 1
        return calls == 3

    await wait_until(third_time)
    assert calls == 3


async def test_waiting_in_vain_tells_for_what() -> None:
    with pytest.raises(ConditionTimeout, match=r"0\.02 s: a miracle"):
        await wait_until(lambda: False, 0.02, "a miracle")
    with pytest.raises(ConditionTimeout, match=r"0\.02 s: a miracle"):
        wait_until_blocking(lambda: False, 0.02, "a miracle")


async def test_what_must_not_happen_is_noticed_when_it_does() -> None:
    began = time.monotonic()
    assert await stays_true(lambda: True, 0.02)
    assert not await stays_true(lambda: time.monotonic() - began < 0.05, 1.0)
