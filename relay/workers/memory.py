"""The memory that this process may use, with all that run beside it."""

from __future__ import annotations

import os
from pathlib import Path

from relay.workers.control_groups import CGROUPS, OWN_CGROUP, limit_files, read


def usable_memory(cgroups: Path = CGROUPS, own: Path = OWN_CGROUP) -> int:
    """Return the bytes of memory that the machine has, and at most the container's limit.

    Args:
        cgroups: folder of the kernel's control groups.
        own: file that names the control group of this process.
    """
    limits = [*limit_files("memory.max", cgroups, own), read(cgroups / "memory" / "memory.limit_in_bytes")]
    installed = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    # Without a limit version 2 says `max`, and version 1 a number above all memory.
    return min([installed, *(int(limit) for limit in map(str.strip, limits) if limit.isdigit())])
