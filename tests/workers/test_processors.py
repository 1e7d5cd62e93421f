"""The number of processors that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from relay.workers.processors import usable_processors


@pytest.fixture(autouse=True)
def _eight_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)))


def write(path: Path, text: str) -> None:
    """Write a file, and make its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_without_a_quota_the_scheduler_decides(tmp_path: Path) -> None:
    assert usable_processors(tmp_path, tmp_path / "none") == 8


@pytest.mark.parametrize(
    ("quota", "count"),
    [("max 100000", 8), ("200000 100000", 2), ("150000 100000", 2), ("5000 100000", 1), ("9900000 100000", 8), ("", 8)],
)
def test_the_quota_of_a_container(tmp_path: Path, quota: str, count: int) -> None:
    write(tmp_path / "groups/cpu.max", quota)
    assert usable_processors(tmp_path / "groups", tmp_path / "none") == count


def test_the_quota_of_a_service(tmp_path: Path) -> None:
    write(tmp_path / "own", "1:name=systemd:/other\n0::/system.slice/relay.service\n")
    write(tmp_path / "groups/system.slice/relay.service/cpu.max", "300000 100000\n")
    assert usable_processors(tmp_path / "groups", tmp_path / "own") == 3


@pytest.mark.parametrize(("quota", "count"), [("400000", 4), ("-1", 8)])
def test_version_1_of_control_groups(tmp_path: Path, quota: str, count: int) -> None:
    write(tmp_path / "cpu/cpu.cfs_quota_us", quota)
    write(tmp_path / "cpu/cpu.cfs_period_us", "100000\n")
    assert usable_processors(tmp_path, tmp_path / "none") == count


def test_elsewhere_than_on_linux_all_processors_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_processors(tmp_path, tmp_path / "none") == 6


def test_the_real_files_can_be_read() -> None:
    assert 1 <= usable_processors() <= 8
