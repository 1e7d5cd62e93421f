"""A small process that ends the servers of a test run when the run itself dies.

Fixtures stop what they started. A run that is killed, or ended by its time limit, has no fixtures any more;
then the guard's standard input closes, and it kills what is still listed.
"""

from __future__ import annotations

import functools
import subprocess
import sys

_SCRIPT = """
import os, signal, sys
alive = set()
signal.signal(signal.SIGINT, signal.SIG_IGN)
for line in sys.stdin:
    sign, pid = line[0], int(line[1:])
    (alive.add if sign == "+" else alive.discard)(pid)
for pid in alive:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
"""


@functools.cache
def _guard() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _SCRIPT], stdin=subprocess.PIPE, text=True, bufsize=1, start_new_session=True
    )


def watch(pid: int) -> None:
    """Kill the process `pid` when this test run dies."""
    _tell(f"+{pid}\n")


def unwatch(pid: int) -> None:
    """Forget a process that has ended."""
    _tell(f"-{pid}\n")


def dismiss() -> None:
    """End the guard, and with it everything that is still listed."""
    if _guard.cache_info().currsize:
        guard = _guard()
        assert guard.stdin is not None
        guard.stdin.close()
        guard.wait(timeout=60)
        _guard.cache_clear()


def _tell(line: str) -> None:
    stdin = _guard().stdin
    assert stdin is not None
    stdin.write(line)
    stdin.flush()
