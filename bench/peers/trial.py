"""One run: a peer is started on its core, the load test on the other ones."""

from __future__ import annotations

import socket
import tempfile
import time
from pathlib import Path

from ..loadtest import LoadTestFailed, load
from ..machine import SERVER_CORES
from ..servers import Redis, end, free_port, start, tail, wait_for
from .peer import Peer, Place
from .score import Score, score
from .workloads import Workload

SPARE_SECONDS = 60  # besides ramp, measure and drain


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
            command = [*workload.options(seconds), *peer.speech]
            ramp = (workload.clients + workload.publishers) / workload.connect_rate
            patience = ramp + workload.duration(seconds) + workload.drain + SPARE_SECONDS
            result, stolen = load(command, [f"ws://127.0.0.1:{place.port}"], [server.pid], place.redis_url, patience)
        except LoadTestFailed as failure:
            said = tail(output).splitlines()
            raise TrialFailed(f"{failure}; the server said: {said[-1]}" if said else str(failure)) from None
        finally:
            end(server)
        return score(peer.name, workload.name, workload.idle, result, stolen)
