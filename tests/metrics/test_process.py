"""Processor time, memory and files of this process."""

from __future__ import annotations

import math
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import ProcessCollector

from relay.metrics import process as module
from relay.metrics.process import Process


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


def test_where_there_is_no_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FILES", "MEMORY"):
        monkeypatch.setattr(module, name, "/nowhere/at/all")
    process = Process()
    assert process.memory_bytes == (0, 0)
    assert process.open_files(7) == 0


def test_without_a_limit_of_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert Process().max_files == math.inf
