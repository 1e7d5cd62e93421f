"""A small process that ends servers when the load test that started them dies without having done so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

_DONE: Final = "done"

# Its standard input ends when the load test does, in whatever way: SIGKILL, SIGHUP, a crash.
_SCRIPT: Final = f"""
import os, shutil, signal, sys, time
pids = []
for line in sys.stdin:
    if line.strip() == "{_DONE}":
        sys.exit()
    pids.append(int(line))
for pid in pids:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
for _ in range(100):  # until the last of them has written its last
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    if not os.path.exists(sys.argv[1]):
        break
    time.sleep(0.05)
"""


class Lifeline:
    """Holds processes alive no longer than this one, and then removes their folder.

    Args:
        folder: of their files.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _SCRIPT, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def hold(self, pid: int) -> None:
        """Have a process ended when this one dies."""
        self._tell(str(pid))

    def release(self) -> None:
        """Let go: all have ended, and their folder is somebody else's task. Nothing else may be called afterwards."""
        self._tell(_DONE)
        self._process.communicate()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # somebody has killed it: then there is no such help
