"""The reaper: a small process that kills the started servers if the load test dies before it has stopped them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

_DONE: Final = "done"

# Its standard input ends when the load test does, even by SIGKILL, SIGHUP or a crash.
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
for _ in range(100):  # the dying servers may still write files
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    if not os.path.exists(sys.argv[1]):
        break
    time.sleep(0.05)
"""


class Reaper:
    """Kills processes when this process dies, and then removes their folder.

    Args:
        folder: folder of their files.
    """

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(  # noqa: S603  # this Python, with a script of this file
            [sys.executable, "-I", "-S", "-c", _SCRIPT, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def watch(self, pid: int) -> None:
        """Have a process killed when this one dies."""
        self._send(str(pid))

    def release(self) -> None:
        """End the reaper: all processes have ended, and the caller removes the folder. Call nothing else afterwards."""
        self._send(_DONE)
        self._process.communicate()

    def _send(self, line: str) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{line}\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # the reaper was killed: the load test does without
