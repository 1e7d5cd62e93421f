"""The place of a gateway: a process, which another may replace, between a network to Redis and one to its clients."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import psutil

from tests.faults.load import NAMESPACES
from tests.faults.stack.clock import Clock
from tests.harness.conditions import wait_until
from tests.harness.gateway_process import GatewayProcess, Setting
from tests.harness.server_api import KEY
from tests.harness.tcp_proxy import TcpProxy

GAP_SECONDS: Final = 2.0
"""Over which clients are closed that have missed messages and have no words for it."""

PING_SECONDS: Final = 5.0

PRESENCE_SECONDS: Final = 5.0
"""After which the clients of a gateway are gone that isn't heard any more."""

SETTINGS: Final[dict[str, Setting]] = {
    "drain_seconds": 1.0,
    "gap_seconds": GAP_SECONDS,
    "on_gap": "close",
    "namespaces": json.dumps(NAMESPACES),
    "presence_ttl": PRESENCE_SECONDS,
    "api_keys": KEY,
    "ping_interval": PING_SECONDS,
    "ping_timeout": PING_SECONDS,
    "send_buffer_bytes": 262_144,
    "write_timeout": 10.0,
    "worker_timeout": 5.0,
}

DOOR_BUFFER_BYTES: Final = 65536
"""That the kernel may hold of what a gateway has sent to clients: so that slow ones are noticed."""

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 60.0


class Place:
    """A gateway and those that took its place.

    Args:
        number: of this place.
        network: between the gateway and Redis.
        door: between clients and the gateway.
        kind: of process.
        clock: by which the gateway goes, if it can jump.
        settings: of the gateway.

    Attributes:
        processes: all so far, the present one last.
    """

    def __init__(
        self,
        number: int,
        network: TcpProxy,
        door: TcpProxy,
        kind: type[GatewayProcess] = GatewayProcess,
        clock: Clock | None = None,
        **settings: Setting,
    ) -> None:
        self.number = number
        self.network = network
        self.door = door
        self.clock = clock
        self.processes: list[GatewayProcess] = []
        self._kind = kind
        self._settings = {**SETTINGS, **settings}
        self._expected: dict[GatewayProcess, int] = {}

    @property
    def process(self) -> GatewayProcess:
        """The present gateway."""
        return self.processes[-1]

    @property
    def port(self) -> int:
        """Where the present gateway listens, without a network before it."""
        return self.process.port

    @property
    def has_workers(self) -> bool:
        """Whether its gateway has several processes."""
        return int(self._settings.get("workers", 1)) > 1

    @property
    def workers(self) -> list[int]:
        """The process ids of its present workers."""
        return sorted(self.process.workers.values()) if self.has_workers else []

    @property
    def descriptors(self) -> int:
        """How many files its processes have open, without connections to Redis.

        Some of these are opened when they are needed first, and stay; a pool keeps them, too, when Redis has closed
        them, until it needs them again.
        """
        processes = [psutil.Process(pid) for pid in {self.process.pid, *self.workers}]
        to_redis = [
            connection
            for process in processes
            for connection in process.net_connections("tcp")
            if connection.raddr and connection.raddr.port == self.network.port
        ]
        return sum(process.num_fds() for process in processes) - len(to_redis)

    def address(self, path: str) -> str:
        """Return the address of a WebSocket, by way of the door."""
        return f"ws://127.0.0.1:{self.door.port}{path}"

    async def start(self) -> None:
        """Start a gateway, and return when it listens."""
        process = self._kind(**self._settings)
        self.processes.append(process)
        self.door.targets = ()
        await process.listening(START_SECONDS)
        self.door.targets = (process.port,)

    async def drain(self) -> None:
        """Let the gateway drain, as a service manager does."""
        await self.process.terminate(within=STOP_SECONDS)

    async def kill(self) -> None:
        """Kill the gateway."""
        process = self.process
        self._expected[process] = -signal.SIGKILL
        process.signal(signal.SIGKILL)
        await wait_until(lambda: not process.running, what="a killed gateway has ended")

    def signal_all(self, number: signal.Signals) -> list[int]:
        """Send a signal to all processes of the gateway, and return their ids."""
        processes = [self.process.pid, *self.workers]
        send(number, processes)
        return processes

    def complaints(self) -> Iterator[str]:
        """Yield what no gateway of this place may have written, and how those ended that did not end well."""
        for number, process in enumerate(self.processes):
            for line in process.complaints():
                yield f"gateway {number} of place {self.number} wrote: {line}"
            code = process.exit_code
            if code is not None and code != self._expected.get(process, 0):
                yield f"gateway {number} of place {self.number} ended with exit code {code}"

    def records(self, event: str) -> list[dict[str, Any]]:
        """Return the log records of one event, of all gateways of this place."""
        return [record for process in self.processes for record in process.records(event)]

    def leave_logs(self, folder: Path) -> None:
        """Copy the logs of all gateways of this place into a folder."""
        for number, process in enumerate(self.processes):
            (folder / f"gateway-{self.number}-{number}.log").write_text(process.output)


def send(number: signal.Signals, processes: list[int]) -> None:
    """Send a signal to processes; those that have ended don't get it."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, number)
