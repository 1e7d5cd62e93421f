"""The place of a gateway: a process, which another may replace, and a proxy on its way to Redis."""

from __future__ import annotations

import time
from datetime import datetime
from pathlib import Path

from tests.faults.record import Gap
from tests.harness.gateway_process import GatewayProcess, Setting, launch
from tests.harness.tcp_proxy import TcpProxy

DRAIN_SECONDS = 1.0
GAP_SECONDS = 0.5
"""Over which clients are closed that have missed messages: soon, so that they are back for the last messages."""

START_SECONDS = 60.0
STOP_SECONDS = 30.0


class Slot:
    """A gateway and those that took its place.

    Args:
        number: of this place.
        proxy: between the gateway and Redis.
        settings: of the gateway.

    Attributes:
        processes: all so far, the present one last.
    """

    def __init__(self, number: int, proxy: TcpProxy, **settings: Setting) -> None:
        self.number = number
        self.proxy = proxy
        self.processes: list[GatewayProcess] = []
        self._settings = {"drain_seconds": DRAIN_SECONDS, "gap_seconds": GAP_SECONDS, **settings}

    async def start(self) -> None:
        """Start a gateway, and return when it listens."""
        process = GatewayProcess(**self._settings)
        self.processes.append(process)
        await process.listening(START_SECONDS)

    async def start_ready(self) -> None:
        """Start a gateway, and return when it is ready."""
        await self.start()
        await launch(self.process)

    async def replace(self) -> None:
        """Let the gateway drain, as a service manager does, and start another one."""
        await self.process.terminate(within=STOP_SECONDS)
        await self.start()

    @property
    def process(self) -> GatewayProcess:
        """The present gateway."""
        return self.processes[-1]

    @property
    def port(self) -> int:
        """Where clients find the present gateway."""
        return self.process.port

    def url(self, channel: str) -> str:
        """Return the address of a channel now."""
        return f"{self.process.url}/ws/{channel}"

    def gaps(self) -> list[Gap]:
        """Return the gaps that all gateways of this place have logged; times are monotonic."""
        offset = time.monotonic() - time.time()
        found = []
        for process in self.processes:
            for entry in process.records("gap"):
                ended = datetime.fromisoformat(entry["timestamp"].replace("Z", "+00:00")).timestamp() + offset
                found.append(Gap(self.number, ended - float(entry["seconds"]), ended, int(entry["channels"])))
        return found

    def complaints(self) -> list[str]:
        """Return what no gateway of this place may have written, and how those ended that did not end well."""
        lines = [line for process in self.processes for line in process.complaints()]
        codes = [process.exit_code for process in self.processes if process.exit_code]
        return lines + [f"a gateway of place {self.number} ended with exit code {code}" for code in codes]

    def leave_logs(self, folder: Path) -> None:
        """Copy the logs of all gateways of this place into a folder."""
        for number, process in enumerate(self.processes):
            (folder / f"gateway-{self.number}-{number}.log").write_text(process.output)
