"""The number of processors that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def usable_processors(cgroups: Path = CGROUPS, own: Path = OWN_CGROUP) -> int:
    """Return how many processors the scheduler allows, and at most the container's quota, rounded up.

    Args:
        cgroups: folder of the kernel's control groups.
        own: file that names the control group of this process.
    """
    allowed = len(os.sched_getaffinity(0))
    return max(1, math.ceil(min(allowed, _quota(cgroups, own))))


def _quota(cgroups: Path, own: Path) -> float:
    """Return how many processors a container may use; infinity without a quota."""
    groups = [line.rpartition(":")[2].strip("/") for line in _read(own).splitlines() if line.startswith("0::")]
    quotas = [_read(cgroups / group / "cpu.max").split() for group in {"", *groups}]
    # Version 1 of control groups has a file for each number.
    quotas.append([_read(cgroups / "cpu" / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")])
    limits = [int(quota[0]) / int(quota[1]) for quota in quotas if len(quota) == 2 and all(map(str.isdigit, quota))]
    return min(limits, default=math.inf)


def _read(path: Path) -> str:
    """Return a file's text; empty when there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""
