"""The machine on which the load test runs: processor, kernel, limits."""

from __future__ import annotations

import os
import platform
import resource
from pathlib import Path
from typing import Final

import psutil

PROC: Final = Path("/proc")


def machine(proc: Path = PROC) -> dict[str, str]:
    """Return the properties that matter to a run, name → value; those that the system doesn't tell are left out.

    Args:
        proc: folder of Linux' /proc; other systems have none.
    """
    found = {
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "CPU": _processor(proc),
        "cores": _cores(),
        "memory": f"{psutil.virtual_memory().total / 2**30:.1f} GiB",
        "TCP congestion control": _read(proc / "sys/net/ipv4/tcp_congestion_control"),
        "open files": _open_files(),
        "local ports": "-".join(_read(proc / "sys/net/ipv4/ip_local_port_range").split()),
    }
    return {name: value for name, value in found.items() if value}


def clock_ticks(proc: Path = PROC) -> tuple[int, int] | None:
    """Return the stolen clock ticks of this virtual machine, and all clock ticks; None where the system has no count.

    Args:
        proc: folder of Linux' /proc; other systems have none.
    """
    # user, nice, system, idle, iowait, irq, softirq, steal; what follows is part of user and nice.
    fields = _read(proc / "stat").partition("\n")[0].split()[1:9]
    return (int(fields[7]), sum(map(int, fields))) if len(fields) == 8 else None


def _read(path: Path) -> str:
    """Return a file's text; empty when there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _processor(proc: Path) -> str:
    for line in _read(proc / "cpuinfo").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.processor()


def usable_cores() -> list[int]:
    """Return the numbers of the processor cores that this process may use."""
    if not hasattr(os, "sched_getaffinity"):  # macOS
        return list(range(os.cpu_count() or 1))
    return sorted(os.sched_getaffinity(0))


def _cores() -> str:
    count, usable = os.cpu_count() or 1, usable_cores()
    return str(count) if len(usable) == count else f"{count}, of which it may use {','.join(map(str, usable))}"


def _open_files() -> str:
    soft, hard = (
        "unlimited" if limit == resource.RLIM_INFINITY else str(limit)
        for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    return soft if soft == hard else f"{soft}, at most {hard}"
