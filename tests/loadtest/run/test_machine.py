"""What the machine says of itself."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path

import psutil
import pytest

from relay.loadtest.run.machine import clock_ticks, machine


@pytest.fixture
def proc(tmp_path: Path) -> Path:
    """A folder that looks like Linux' /proc."""
    (tmp_path / "sys/net/ipv4").mkdir(parents=True)
    (tmp_path / "sys/net/ipv4/tcp_congestion_control").write_text("bbr\n")
    (tmp_path / "sys/net/ipv4/ip_local_port_range").write_text("32768\t60999\n")
    (tmp_path / "cpuinfo").write_text("processor\t: 0\nmodel name\t: Quick One @ 2.50GHz\n\nprocessor\t: 1\n")
    (tmp_path / "stat").write_text("cpu  100 10 50 800 20 5 5 10 7 0\ncpu0 1 2 3\n")
    return tmp_path


def test_a_linux_tells(proc: Path) -> None:
    """Versions, sizes and limits."""
    told = machine(proc)
    assert told["kernel"] == f"{platform.system()} {platform.release()} {platform.machine()}"
    assert told["CPU"] == "Quick One @ 2.50GHz"
    assert told["TCP congestion control"] == "bbr"
    assert told["local ports"] == "32768-60999"
    assert float(told["memory"].split()[0]) == pytest.approx(psutil.virtual_memory().total / 2**30, abs=0.1)
    assert told["cores"].startswith(str(os.cpu_count()))


def test_what_is_not_told_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS."""
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    told = machine(tmp_path)
    assert not {"TCP congestion control", "local ports"} & set(told)
    assert told["cores"] == str(os.cpu_count())
    assert told.get("CPU", "") == platform.processor()


def test_cores_that_it_may_not_use_are_told(proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pinned by taskset or a container."""
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: {5, 2}, raising=False)
    assert machine(proc)["cores"] == "8, of which it may use 2,5"


@pytest.mark.parametrize(
    ("limits", "text"),
    [((1024, 20_000), "1024, at most 20000"), ((512, resource.RLIM_INFINITY), "512, at most unlimited"), ((9, 9), "9")],
)
def test_limits_of_open_files(limits: tuple[int, int], text: str, proc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The soft one, and the hard one where it is another."""
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: limits)
    assert machine(proc)["open files"] == text


def test_clock_ticks_are_counted(proc: Path, tmp_path: Path) -> None:
    """Guests' are part of the users'."""
    assert clock_ticks(proc) == (10, 1000)
    assert clock_ticks(tmp_path / "elsewhere") is None
    (proc / "stat").write_text("cpu 1 2 3 4\n")
    assert clock_ticks(proc) is None
