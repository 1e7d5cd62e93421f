"""What the kernel knows: cores, CPU time and resident memory of a process."""

from __future__ import annotations

import os
import platform
import resource
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
CPU_CLOCK = 2  # CPUCLOCK_SCHED: what the scheduler measured, in ns
QUIET = 0.9  # share of the machine that must be idle before a measure

CORES = sorted(os.sched_getaffinity(0))
SERVER_CORES = set(CORES[:1])
CLIENT_CORES = set(CORES[1:]) or SERVER_CORES


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of all threads of a process, user and kernel, in seconds.

    It is the sum of utime and stime in /proc/PID/stat, read from the process's CPU clock: the file counts in ticks of
    10 ms, and ten thousand idle connections use only two of them in a second.
    """
    # The clock of a process, as clock_getcpuclockid(3) computes its id; Python has no function for it.
    return time.clock_gettime(~pid << 3 | CPU_CLOCK)


def waiting_seconds(pid: int) -> float:
    """Return how long the main thread of a process was ready to run but had no core."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass  # kernels built without it: statm is a little less exact
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def idle_seconds() -> float:
    """Return the idle time of all cores of the machine together, since its start."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()
    return (int(fields[4]) + int(fields[5])) / TICKS


def stolen_seconds() -> float:
    """Return how long the host kept the cores of this virtual machine, each on average."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()
    return int(fields[8]) / TICKS / (os.cpu_count() or 1)


def wait_until_quiet(patience: float) -> float:
    """Wait until nearly all cores are idle for 2 seconds; return how long that took.

    Args:
        patience: seconds after which to go on anyway.
    """
    begin = time.monotonic()
    cores = os.cpu_count() or 1
    quiet = 0
    while quiet < 4 and time.monotonic() - begin < patience:
        idle, moment = idle_seconds(), time.monotonic()
        time.sleep(0.5)
        share = (idle_seconds() - idle) / cores / (time.monotonic() - moment)
        quiet = quiet + 1 if share > QUIET else 0
    return time.monotonic() - begin


def raise_file_limit(needed: int) -> None:
    """Allow this process and its children as many open files as the hard limit does.

    Raises:
        SystemExit: the hard limit is too low; with a message.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise SystemExit(
            f"the hard limit of open files is {hard}; this measure needs {needed}: raise it (ulimit -Hn), "
            "or measure fewer connections (--connections)"
        )


def description() -> str:
    """Return one line about the machine, for the head of the table."""
    congestion = Path("/proc/sys/net/ipv4/tcp_congestion_control")
    tcp = congestion.read_text().strip() if congestion.exists() else "unknown"
    shared = "" if CLIENT_CORES != SERVER_CORES else ", server and clients SHARE one core"
    return (
        f"Python {platform.python_version()}, Linux {platform.release()}, {len(CORES)} cores, "
        f"server on core {min(SERVER_CORES)}{shared}, TCP {tcp}, load {os.getloadavg()[0]:.2f}"
    )
