"""What a container, or another control group of Linux, may use of its machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
OWN_CGROUP = Path("/proc/self/cgroup")


def limit_files(name: str, cgroups: Path, own: Path) -> Iterator[str]:
    """Go through the texts of one limit: of all groups, and of the one of this process (version 2).

    Args:
        name: of the file that holds the limit.
        cgroups: folder of the kernel's control groups.
        own: file that names the control group of this process.
    """
    groups = [line.rpartition(":")[2].strip("/") for line in read(own).splitlines() if line.startswith("0::")]
    return (read(cgroups / group / name) for group in {"", *groups})


def read(path: Path) -> str:
    """Return a file's text; empty when there is none."""
    try:
        return path.read_text()
    except OSError:
        return ""
