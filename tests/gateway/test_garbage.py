"""Garbage that only the collector finds goes soon, whatever its thresholds are."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest

from relay.gateway.garbage import CLIENT_BYTES, collect_garbage
from tests.harness.conditions import stays_true, wait_until


class Cycle:
    """An object that keeps itself."""

    def __init__(self) -> None:
        self.myself = self


@dataclass
class Process:
    """What the collector is told of it."""

    memory: int = 1000
    clients: int = 0


@pytest.fixture(autouse=True)
def _seldom() -> Iterator[None]:
    """Let the collector of its own find nothing."""
    thresholds = gc.get_threshold()
    gc.set_threshold(1_000_000, 1000, 1000)
    yield
    gc.set_threshold(*thresholds)
    gc.enable()


@asynccontextmanager
async def collecting(process: Process, full_seconds: float = 0.0) -> AsyncIterator[None]:
    """Collect fast."""
    task = asyncio.create_task(
        collect_garbage(
            lambda: process.memory,
            lambda: process.clients,
            seconds=0.01,
            full_seconds=full_seconds,
            growth_bytes=100,
        )
    )
    await asyncio.sleep(0)
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def young() -> weakref.ref[Cycle]:
    return weakref.ref(Cycle())


def old() -> weakref.ref[Cycle]:
    """Return garbage that the collector takes for an object that stays."""
    kept = Cycle()
    gc.collect()
    return weakref.ref(kept)


async def test_new_garbage_goes_by_time() -> None:
    async with collecting(Process()):
        found = young()
        await wait_until(lambda: found() is None)


async def test_old_garbage_goes_when_memory_has_grown() -> None:
    process = Process()
    async with collecting(process):
        found = old()
        assert await stays_true(lambda: found() is not None, 0.1)
        process.memory += 101
        await wait_until(lambda: found() is None)


async def test_memory_of_clients_that_came_is_no_reason() -> None:
    process = Process()
    async with collecting(process):
        found = old()
        process.clients, process.memory = 10, 1000 + 10 * CLIENT_BYTES
        assert await stays_true(lambda: found() is not None, 0.1)
        process.clients = 0
        await wait_until(lambda: found() is None)


async def test_all_objects_are_looked_at_seldom() -> None:
    process = Process()
    async with collecting(process, full_seconds=60):
        found = old()
        process.memory += 1000
        assert await stays_true(lambda: found() is not None, 0.1)


async def test_a_program_that_has_switched_it_off_is_obeyed() -> None:
    async with collecting(Process()):
        gc.disable()
        found = young()
        assert await stays_true(lambda: found() is not None, 0.1)
