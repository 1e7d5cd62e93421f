"""Processor time, memory, files, event loop lag and garbage collection pauses of this process."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import ProcessCollector

from relay import Gateway, Settings
from relay.metrics.counters import BOUNDS, Histogram
from relay.metrics.process import GcPauses, Process, watch_event_loop
from tests.harness.conditions import wait_until


@contextmanager
def many_files(count: int) -> Iterator[None]:
    """Hold some files open."""
    held = [os.dup(0) for _ in range(count)]
    try:
        yield
    finally:
        for descriptor in held:
            os.close(descriptor)


def test_the_figures_are_those_of_the_usual_collector() -> None:
    process = Process()
    with many_files(50):
        usual = {
            sample.name: sample.value
            for family in ProcessCollector(registry=None).collect()
            for sample in family.samples
        }
        virtual, resident = process.memory_bytes
        assert abs(process.open_files(50) - usual["process_open_fds"]) <= 3
    assert process.max_files == usual["process_max_fds"]
    assert virtual == pytest.approx(usual["process_virtual_memory_bytes"], rel=0.1)
    assert resident == pytest.approx(usual["process_resident_memory_bytes"], rel=0.1)
    assert process.cpu_seconds == pytest.approx(usual["process_cpu_seconds_total"], abs=0.2)


def test_where_the_kernel_does_not_tell_the_sockets_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "stat", lambda path: os.stat_result([0] * 10))
    process = Process()
    assert process.open_files(1000) == process.open_files(0) + 1000
    assert process.open_files(0) > 2


def test_where_there_is_no_proc() -> None:
    process = Process(files="/nowhere/at/all", memory="/nowhere/at/all")
    assert process.memory_bytes == (0, 0)
    assert process.open_files(7) == 0


def test_without_a_limit_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert Process().max_files == math.inf


def test_pauses_are_counted_by_generation_until_the_end() -> None:
    counted = {generation: Histogram() for generation in (0, 1, 2)}
    pauses = GcPauses(counted)
    pauses.stop()
    pauses.start()
    try:
        gc.collect(2)
        gc.collect(2)
    finally:
        pauses.stop()
    count = counted[2].count
    assert count >= 2  # the collector may have had reasons of its own
    gc.collect(2)
    assert counted[2].count == count
    assert 0 < counted[2].seconds < 60


async def test_a_gateway_leaves_no_callback_behind() -> None:
    before = list(gc.callbacks)
    async with Gateway(Settings(port=0, drain_seconds=0)) as gateway:
        gc.collect()
        assert gateway.counters.gc_pauses[2].count >= 1
        assert len(gc.callbacks) == len(before) + 1
    assert gc.callbacks == before


def above(histogram: Histogram, seconds: float) -> int:
    """Return how many durations were longer than a bound."""
    return sum(histogram.counts[BOUNDS.index(seconds) + 1 :])


async def test_a_stall_counts_for_all_the_time_that_it_took() -> None:
    """One measurement for a stall of many intervals would hide it among those of quiet times."""
    lag = Histogram()
    task = asyncio.create_task(watch_event_loop(lag, 0.1))
    await wait_until(lambda: lag.count >= 2)
    before = above(lag, 0.25)
    time.sleep(1.0)  # noqa: ASYNC251  # the stall
    await wait_until(lambda: above(lag, 0.25) > before)
    task.cancel()
    # 0.9 s late or more, then 0.8, 0.7 … 0.3
    assert above(lag, 0.25) - before >= 6
    assert lag.seconds >= 0.9 + 0.8 + 0.7 + 0.6 + 0.5 + 0.4 + 0.3
