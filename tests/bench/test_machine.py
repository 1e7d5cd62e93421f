"""What the kernel tells of processes."""

from __future__ import annotations

import os
import resource
import time

import pytest

from bench.machine import TICKS, cpu_seconds, raise_file_limit


def test_the_cpu_time_is_that_of_the_process_clock() -> None:
    before = time.process_time()
    assert before <= cpu_seconds(os.getpid()) <= time.process_time()


def test_the_cpu_time_is_that_of_the_stat_file() -> None:
    """Of user and kernel, in ticks there."""
    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    assert cpu_seconds(os.getpid()) == pytest.approx((int(fields[11]) + int(fields[12])) / TICKS, abs=0.1)


def test_a_hard_limit_that_is_too_low_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    set_limits: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 1024))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: set_limits.append(limits))
    raise_file_limit(1024)
    with pytest.raises(
        SystemExit, match=r"the hard limit of open files is 1024; this measure needs 1025: .*--connections"
    ):
        raise_file_limit(1025)
    assert set_limits == [(1024, 1024)] * 2
