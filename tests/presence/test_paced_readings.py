"""Readings of large channels, which many may ask for at once."""

from __future__ import annotations

import asyncio

import pytest

from relay.presence.paced_readings import PacedReadings
from tests.harness.conditions import stays_true, wait_until


class Store:
    """Has the members of one channel.

    Attributes:
        members: how many.
        readings: how many have begun.
        at_once: how many are under way; `most` of them so far.
        go_on: readings wait for it.
    """

    def __init__(self, members: int) -> None:
        self.members = members
        self.readings = self.at_once = self.most = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def read(self) -> int:
        """Return how many are there when it begins."""
        self.readings += 1
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        members = self.members
        try:
            await self.go_on.wait()
        finally:
            self.at_once -= 1
        return members


def paced(*, costly: bool = False, pause_seconds: float = 0.0) -> PacedReadings[int]:
    """Return what reads channels of which 10 members are many."""
    return PacedReadings(lambda found: found, costly=costly, large=10, pause_seconds=pause_seconds)


async def test_small_channels_are_read_for_each_who_asks() -> None:
    store, readings = Store(9), paced()
    store.go_on.clear()
    asking = [asyncio.create_task(readings.read("a", store.read)) for _ in range(3)]
    await wait_until(lambda: store.at_once == 3)
    store.go_on.set()
    assert await asyncio.gather(*asking) == [9, 9, 9]
    assert len(readings) == 0


async def test_a_large_channel_is_read_once_for_all_who_wait_and_not_with_what_was_there_before() -> None:
    store, readings = Store(10), paced(pause_seconds=0.001)
    assert await readings.read("a", store.read) == 10
    store.go_on.clear()
    first = asyncio.create_task(readings.read("a", store.read))
    await wait_until(lambda: store.readings == 2)
    store.members = 11
    others = [asyncio.create_task(readings.read("a", store.read)) for _ in range(5)]
    await asyncio.sleep(0)
    store.go_on.set()
    assert await first == 10
    assert await asyncio.gather(*others) == [11] * 5
    assert (store.readings, store.most) == (3, 1)
    await wait_until(lambda: len(readings) == 0)


@pytest.mark.parametrize(("costly", "answers"), [(True, 1), (False, 3)])
async def test_there_is_a_pause_behind_what_has_cost_much(costly: bool, answers: int) -> None:
    """Where an answer is costly, also behind each that needed no reading."""
    store, readings = Store(10), paced(costly=costly, pause_seconds=0.01)
    assert await readings.read("a", store.read) == 10
    readings._pause_seconds = 1000.0
    asking = [asyncio.create_task(readings.read("a", store.read)) for _ in range(3)]
    await wait_until(lambda: sum(task.done() for task in asking) == answers)
    assert await stays_true(lambda: sum(task.done() for task in asking) == answers, 0.05)
    assert store.readings == 2
    assert await readings.read("b", Store(5).read) == 5, "another channel doesn't wait"
    for task in asking:
        task.cancel()


async def test_one_that_fails_and_one_that_leaves_hold_up_nobody() -> None:
    store, readings = Store(10), paced(pause_seconds=0.001)
    assert await readings.read("a", store.read) == 10

    async def fail() -> int:
        raise OSError("Redis is away")

    failing = asyncio.create_task(readings.read("a", fail))
    leaving = asyncio.create_task(readings.read("a", store.read))
    waiting = asyncio.create_task(readings.read("a", store.read))
    await asyncio.sleep(0)
    leaving.cancel()
    with pytest.raises(OSError, match="Redis is away"):
        await failing
    assert await waiting == 10
    await wait_until(lambda: len(readings) == 0)
    assert await readings.read("a", store.read) == 10


async def test_one_that_has_become_small_is_read_as_such() -> None:
    store, readings = Store(10), paced(pause_seconds=0.001)
    assert await readings.read("a", store.read) == 10
    store.members = 3
    assert await readings.read("a", store.read) == 3
    await wait_until(lambda: len(readings) == 0)
