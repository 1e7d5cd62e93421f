"""A deployment under load, and what it cost."""

from __future__ import annotations

import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from relay.loadtest.result.result import Result

from ..loadtest import load
from ..machine import SERVER_CORES
from ..peers.peer import Place
from ..peers.python import Relay
from ..servers import Redis, end, free_port, start, wait_for
from ..wire import open_many

SPARE_SECONDS = 60.0  # besides ramp, measure and drain
SETTLE_SECONDS = 2.0  # what a gateway does after its start is not to be measured


@dataclass(frozen=True)
class Shape:
    """A deployment and its load. All clients listen to one channel, so that each message goes to every gateway.

    Args:
        gateways: how many; they share one core.
        clients: per gateway.
        rate: messages/s in all, sent through all gateways in turn.
    """

    gateways: int
    clients: int
    rate: float

    def options(self, seconds: int) -> list[str]:
        """Return the options of `relay loadtest`."""
        return [
            *("--clients", str(self.clients * self.gateways), "--channels", "1"),
            *("--publishers", str(self.gateways), "--rate", f"{self.rate:g}"),
            *("--duration", f"{seconds}s", "--warm-up", "2s", "--connect-rate", "1000"),
        ]


@dataclass(frozen=True)
class Cost:
    """What one run showed.

    Args:
        shape: of the deployment.
        delivery_us: CPU of all gateways per delivery, in µs.
        redis_us: CPU of Redis per published message, in µs.
        deliveries: per second, of all gateways.
        p99_ms: latency from the moment when a message was due.
        lost: deliveries that never came.
        stolen: share of the time in which the host ran something else than this machine.
    """

    shape: Shape
    delivery_us: float
    redis_us: float
    deliveries: float
    p99_ms: float
    lost: int
    stolen: float


def measure(shape: Shape, seconds: int, bus: Redis, folder: Path) -> Cost:
    """Start a deployment, load it, end it, and return what it cost.

    Raises:
        LoadTestFailed: there are no figures.
    """
    relay = Relay(folder)
    with ExitStack() as stack:
        ports, pids = [], []
        for _ in range(shape.gateways):
            place = Place(free_port(), bus.url, folder)
            output = stack.enter_context(tempfile.TemporaryFile())
            gateway = start(relay.command(place), SERVER_CORES, output, relay.environment(place))
            stack.callback(end, gateway)
            wait_for(partial(open_once, place.port), gateway, output)
            ports.append(place.port)
            pids.append(gateway.pid)
        time.sleep(SETTLE_SECONDS)
        urls = [f"ws://127.0.0.1:{port}" for port in ports]
        result, stolen = load(shape.options(seconds), urls, pids, bus.url, seconds + SPARE_SECONDS)
    return cost(shape, result, stolen)


def open_once(port: int) -> None:
    """Open a WebSocket, and close it."""
    open_many(port, "/ws/warm-up", 1)[0].close()


def cost(shape: Shape, result: Result, stolen: float) -> Cost:
    """Return the figures of a run."""
    step, redis = result.headline, result.redis
    assert step is not None
    assert redis is not None
    assert redis.cpu_per_message is not None
    return Cost(
        shape=shape,
        delivery_us=sum(process.cpu_per_delivery or 0.0 for process in result.processes) * 1e6,
        redis_us=redis.cpu_per_message * 1e6,
        deliveries=result.delivery_rate,
        p99_ms=(step.latency.p99 or 0.0) * 1e3,
        lost=result.faults.lost,
        stolen=stolen,
    )
