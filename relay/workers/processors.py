"""The number of processors that this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

from relay.workers.control_groups import CGROUPS, OWN_CGROUP, limit_files, read


def usable_processors(cgroups: Path = CGROUPS, own: Path = OWN_CGROUP) -> int:
    """Return how many processors the scheduler allows, and at most the container's quota, rounded up.

    Args:
        cgroups: folder of the kernel's control groups.
        own: file that names the control group of this process.
    """
    # Linux alone has the first.
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(allowed, _quota(cgroups, own))))


def _quota(cgroups: Path, own: Path) -> float:
    """Return how many processors a container may use; infinity without a quota."""
    quotas = [text.split() for text in limit_files("cpu.max", cgroups, own)]
    # Version 1 of control groups has a file for each number.
    quotas.append([read(cgroups / "cpu" / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")])
    limits = [int(quota[0]) / int(quota[1]) for quota in quotas if len(quota) == 2 and all(map(str.isdigit, quota))]
    return min(limits, default=math.inf)
