"""One run: a peer is started on its core, the load test on the other ones."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from relay.loadtest.result import Result

from ..machine import CLIENT_CORES, SERVER_CORES, stolen_seconds
from ..servers import Redis, end, free_port, start, tail, wait_for
from .peer import Peer, Place
from .score import Score, score
from .workloads import Workload

SPARE_SECONDS = 60  # besides ramp, measure and drain
MOST_WORKERS = 4


class TrialFailed(Exception):
    """A run gave no figures, and why, in one line."""


def trial(peer: Peer, workload: Workload, seconds: int, bus: Redis) -> Score:
    """Start a peer, load it, end it, and return what was seen.

    Args:
        peer: installed.
        workload: what it has to do.
        seconds: to be measured; longer when the workload needs it.
        bus: the Redis of all peers.

    Raises:
        TrialFailed: the load test could not run.
    """
    with tempfile.TemporaryDirectory(prefix="relay-peers-") as name, tempfile.TemporaryFile() as output:
        place = Place(free_port(), bus.url, Path(name))
        server = start(peer.command(place), SERVER_CORES, output, peer.environment(place))
        try:
            wait_for(lambda: socket.create_connection(("127.0.0.1", place.port), 1).close(), server, output)
            time.sleep(1)  # what a server does after its start is not to be measured
            result, stolen = load(peer, workload, seconds, place, server.pid)
        except TrialFailed as failure:
            said = tail(output).splitlines()
            raise TrialFailed(f"{failure}; the server said: {said[-1]}" if said else str(failure)) from None
        finally:
            end(server)
        return score(peer.name, workload.name, workload.idle, result, stolen)


def load(peer: Peer, workload: Workload, seconds: int, place: Place, pid: int) -> tuple[Result, float]:
    """Run the load test; return its result and the share of time that the host took away."""
    file = place.folder / "result.json"
    command = [sys.executable, "-m", "relay", "loadtest", f"ws://127.0.0.1:{place.port}"]
    command += [*workload.options(seconds), *peer.speech, "--workers", str(min(MOST_WORKERS, len(CLIENT_CORES)))]
    command += ["--pid", str(pid), "--redis", place.redis_url, "--json", str(file)]
    ramp = (workload.clients + workload.publishers) / workload.connect_rate
    patience = ramp + workload.duration(seconds) + workload.drain + SPARE_SECONDS
    begin, stolen = time.monotonic(), stolen_seconds()
    with tempfile.TemporaryFile() as output:
        generator = start(command, CLIENT_CORES, output, {})
        try:
            code = generator.wait(patience)
        except subprocess.TimeoutExpired:
            raise TrialFailed(f"the load test took more than {patience:.0f} s") from None
        finally:
            end(generator)
        # It ends with 1 when something was lost, which is a result, too.
        if code not in (0, 1) or not file.exists():
            said = tail(output).splitlines() or ["it said nothing"]
            raise TrialFailed(f"the load test ended with code {code}: {said[-1]}")
    return msgspec.json.decode(file.read_bytes(), type=Result), (stolen_seconds() - stolen) / (time.monotonic() - begin)
