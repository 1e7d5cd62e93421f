"""Servers don't outlive a test run that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.harness.conditions import wait_until_blocking

ROOT = Path(__file__).resolve().parents[2]
RUN = """
import os, signal
from tests.harness.redis_server import RedisServer
server = RedisServer()
server.start()
print(server.admin.info("server")["process_id"], server._path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_server_ends_when_its_run_is_killed() -> None:
    run = subprocess.run([sys.executable, "-c", RUN], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    pid, folder = run.stdout.split()
    wait_until_blocking(lambda: not Path(f"/proc/{pid}").exists() or "Z" in state(pid), what="redis-server ends")
    for path in [*Path(folder).iterdir()]:
        path.unlink()
    os.rmdir(folder)


def state(pid: str) -> str:
    """Return the state letter of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
