"""A gateway as its user runs it: `relay serve`, in a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

from relay.settings import Settings
from tests.harness import guard
from tests.harness.certificate_authority import CertificateAuthority
from tests.harness.conditions import PATIENCE_SECONDS, wait_until, wait_until_blocking
from tests.harness.forked_process import ROOT, start, start_anew
from tests.harness.http_response import HttpResponse
from tests.harness.readiness import all_told_ready, told_ready
from tests.harness.tls_socket import TRUSTED, trust_port

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")

Setting = str | int | float


class GatewayProcess:
    """`python -m relay serve` on any free port, in an empty folder, with JSON logs.

    It is launched at once; wait for `listening` before anything else.

    Args:
        settings: `RELAY_*` variables, names in lower case and without the prefix.

    Attributes:
        port: TCP port, from the log line "listening".
        command: what Python runs, with `serve` behind it; empty: the command `relay`, as a fork of one that is loaded.
        surroundings: further variables of its environment.
    """

    command: ClassVar[Sequence[str]] = ()
    surroundings: ClassVar[Mapping[str, str]] = {}

    def __init__(self, **settings: Setting) -> None:
        if unknown := sorted(set(settings) - set(Settings.model_fields)):
            # The relay itself only warns: such a test would try the default.
            raise TypeError(f"not a setting: {', '.join(unknown)}")
        self._authority: CertificateAuthority | None = None
        self._directory = tempfile.TemporaryDirectory(prefix="relay-gateway-")
        self._log = Path(self._directory.name) / "log"
        self.port = 0
        # Traced for coverage it would take half as long again for everything; tests in this process cover its code.
        left_out = ("RELAY_", "COVERAGE_")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
        # Hand-made clients answer no pings: on a busy machine they would be closed in the middle of a test.
        given = {"port": 0, "log_format": "json", "drain_seconds": 0, "ping_interval": 3600, **settings}
        environment |= {f"RELAY_{name.upper()}": str(value) for name, value in given.items()}
        environment |= {"PYTHONPATH": str(ROOT), **self.surroundings}
        words = (*self.command, "serve")
        launch = start_anew if self.command else start
        self._process = launch(*words, environment=environment, folder=self._directory.name, log=self._log)
        guard.watch(self._process.pid)

    @classmethod
    def secure(cls, authority: CertificateAuthority, **settings: Setting) -> Self:
        """Launch one that speaks TLS, as clients of the harness do with it.

        Args:
            authority: of its certificate.
            settings: as above.
        """
        given: dict[str, Setting] = {**authority.server.settings(), **settings}
        gateway = cls(**given)
        gateway._authority = authority
        return gateway

    @property
    def url(self) -> str:
        """Address of the gateway, without a path."""
        return f"{'ws' if self._authority is None else 'wss'}://127.0.0.1:{self.port}"

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """Exit code, or the negative number of a signal; None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """Everything that the process wrote."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def records(self, event: str | None = None) -> list[dict[str, Any]]:
        """Return the log records, or those of one event."""
        lines = [json.loads(line) for line in self.output.splitlines() if line.startswith("{") and line.endswith("}")]
        return [record for record in lines if event is None or record.get("event") == event]

    def complaints(self) -> list[str]:
        """Return the lines that a gateway must never write: unexpected exceptions, and warnings of Python."""
        signs = ("Traceback", "never retrieved", "never awaited", "Exception ignored", "Warning: ")
        return [line for line in self.output.splitlines() if any(sign in line for sign in signs)]

    async def listening(self, within: float = PATIENCE_SECONDS) -> None:
        """Return when the gateway accepts connections; sets `port`."""
        await wait_until(self._has_port, within, lambda: f"gateway is listening: {self.output[-2000:]}")

    async def ready(self, expected: bool = True, within: float = PATIENCE_SECONDS) -> HttpResponse:
        """Return the answer of `/readyz` once it says ready, or not ready."""
        return await told_ready(self, expected, within)

    def start_blocking(self) -> None:
        """Wait until the gateway says that it is ready, without an event loop."""
        wait_until_blocking(self._has_port, PATIENCE_SECONDS, "gateway is listening")
        wait_until_blocking(lambda: self.records("ready"), PATIENCE_SECONDS, "gateway is ready")

    async def terminate(self, within: float = PATIENCE_SECONDS) -> int:
        """Ask it to drain (SIGTERM) and return its exit code."""
        self.signal(signal.SIGTERM)
        await wait_until(lambda: not self.running, within, lambda: f"gateway ends: {self.output[-2000:]}")
        code = self.exit_code
        assert code is not None
        return code

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def limit_descriptors(self, count: int) -> None:
        """Change how many file descriptors the running process may have, up to what it started with."""
        _, hard = resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self._process.pid, resource.RLIMIT_NOFILE, (min(count, hard), hard))

    @property
    def descriptors(self) -> int:
        """How many file descriptors the process has open."""
        return len(os.listdir(f"/proc/{self._process.pid}/fd"))

    @property
    def pid(self) -> int:
        """Its process id; that of the supervisor when there are workers."""
        return self._process.pid

    @property
    def workers(self) -> dict[int, int]:
        """Process ids of its workers by their numbers, the latest of each."""
        return {int(record["worker"]): int(record["pid"]) for record in self.records("worker started")}

    @property
    def rss_bytes(self) -> int:
        """Resident memory."""
        return int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * _PAGE_BYTES

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far, user and system."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def kill(self) -> None:
        """End it at once; nothing happens when it has ended."""
        self._process.kill()
        self._process.wait()
        guard.unwatch(self._process.pid)
        TRUSTED.pop(self.port, None)

    def close(self) -> None:
        """Remove its folder, after killing it when it still runs."""
        self.kill()
        self._directory.cleanup()

    def _has_port(self) -> bool:
        if records := self.records("listening"):
            self.port = int(records[0]["port"])
            if self._authority is not None:
                trust_port(self.port, self._authority)
            return True
        if not self.running:
            raise AssertionError(f"gateway ended with {self.exit_code}: {self.output[-2000:]}")
        return False


async def launch(*gateways: GatewayProcess) -> list[GatewayProcess]:
    """Wait until several gateways listen and are ready."""
    await asyncio.gather(*(gateway.listening() for gateway in gateways))
    await all_told_ready(gateways)
    return list(gateways)


def end(gateways: Iterable[GatewayProcess]) -> None:
    """Stop the gateways that still run, as an operator does; each must go quietly, with exit code 0."""
    gateways = list(gateways)
    running = [gateway for gateway in gateways if gateway.running]
    try:
        for gateway in running:
            gateway.signal(signal.SIGTERM)
        wait_until_blocking(lambda: not any(gateway.running for gateway in running), PATIENCE_SECONDS, "gateways end")
        codes = [gateway.exit_code for gateway in running]
        assert codes == [0] * len(running), codes
        complaints = [line for gateway in gateways for line in gateway.complaints()]
        assert not complaints, "\n".join(complaints)
    finally:
        for gateway in gateways:
            # Captured, and shown when the test fails.
            sys.stdout.write(f"--- gateway on port {gateway.port}\n{gateway.output}")
            gateway.close()
