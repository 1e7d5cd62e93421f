"""The load test as the measuring instrument: run beside the servers, on the other cores."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from relay.loadtest.result.result import Result

from .machine import CLIENT_CORES, stolen_seconds
from .servers import end, start, tail

MOST_WORKERS = 4


class LoadTestFailed(Exception):
    """A run gave no figures, and why, in one line."""


def load(
    options: Sequence[str], urls: Sequence[str], pids: Sequence[int], redis_url: str, patience: float
) -> tuple[Result, float]:
    """Run the load test; return its result and the share of time that the host took away.

    Args:
        options: of `relay loadtest`.
        urls: of the servers.
        pids: of the servers, whose CPU and memory are measured.
        redis_url: of the Redis that is watched.
        patience: seconds after which it is given up.

    Raises:
        LoadTestFailed: it could not run to its end.
    """
    with tempfile.TemporaryDirectory(prefix="relay-bench-") as name, tempfile.TemporaryFile() as output:
        file = Path(name) / "result.json"
        command = [sys.executable, "-m", "relay", "loadtest", *urls, *options]
        command += ["--workers", str(min(MOST_WORKERS, len(CLIENT_CORES)))]
        command += [word for pid in pids for word in ("--pid", str(pid))]
        command += ["--redis", redis_url, "--json", str(file)]
        begin, stolen = time.monotonic(), stolen_seconds()
        generator = start(command, CLIENT_CORES, output, {})
        try:
            code = generator.wait(patience)
        except subprocess.TimeoutExpired:
            raise LoadTestFailed(f"the load test took more than {patience:.0f} s") from None
        finally:
            end(generator)
        # It ends with 1 when something was lost, which is a result, too.
        if code not in (0, 1) or not file.exists():
            said = tail(output).splitlines() or ["it said nothing"]
            raise LoadTestFailed(f"the load test ended with code {code}: {said[-1]}")
        share = (stolen_seconds() - stolen) / (time.monotonic() - begin)
        return msgspec.json.decode(file.read_bytes(), type=Result), share
