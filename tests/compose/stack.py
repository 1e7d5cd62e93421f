"""The compose stack under a name of its own, and what a test does to it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.request import ProxyHandler, build_opener

from prometheus_client.parser import text_string_to_metric_families

from tests.harness.conditions import wait_until
from tests.harness.free_port import free_port
from tests.harness.websocket_client import connected

ROOT = Path(__file__).resolve().parents[2]

DRAIN_DELAY = 3
DRAIN_SECONDS = 4

NAMESPACE = "chat"
"""Of the channels that keep their messages: see `history.yml` beside this file."""

UP_SECONDS = 300.0
"""Building the image takes most of it, on a slow machine with a slow network."""

_opener = build_opener(ProxyHandler({}))


class CommandError(AssertionError):
    """A command failed; its text is what it wrote."""


class Gateway:
    """One container of the service `gateway`.

    Args:
        container: its id.
        name: such as `relay-test-gateway-1`.
        address: IP address on the stack's network; empty when it doesn't run.
    """

    def __init__(self, container: str, name: str, address: str) -> None:
        self.container = container
        self.name = name
        self.address = address

    def __repr__(self) -> str:
        return f"<{self.name} {self.address}>"

    async def count(self, metric: str) -> float:
        """Return a metric of it, summed over its labels; 0 when it can't be asked."""
        return await asyncio.to_thread(self._count, metric)

    def _count(self, metric: str) -> float:
        try:
            with _opener.open(f"http://{self.address}:8000/metrics", timeout=5) as response:
                text = response.read().decode()
        except OSError:
            return 0.0
        samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
        return sum(sample.value for sample in samples if sample.name == metric)


class Stack:
    """Gateways, balancer and Redis of a checkout; a context manager that leaves nothing behind.

    Args:
        project: name of the compose project.

    Attributes:
        port: of the balancer, on 127.0.0.1.
    """

    def __init__(self, project: str) -> None:
        self.project = project
        self.port = free_port()
        self._environment = {name: value for name, value in os.environ.items() if not name.startswith("RELAY_")} | {
            "COMPOSE_PROJECT_NAME": project,
            "COMPOSE_FILE": "docker-compose.yml:tests/compose/history.yml",
            "BALANCER_LISTEN": f"127.0.0.1:{self.port}",
            "RELAY_LOG_LEVEL": "debug",
            "RELAY_DRAIN_DELAY": str(DRAIN_DELAY),
            "RELAY_DRAIN_SECONDS": str(DRAIN_SECONDS),
            "REVISION": "0123456",
        }

    def __enter__(self) -> Self:
        try:
            self.compose("up", "--build", "--scale", "gateway=3", "--wait", within=UP_SECONDS)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            pass
        self.compose("down", "--volumes", "--rmi", "local", "--timeout", "1", within=120)

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self.port}"

    def run(self, *command: str, within: float = 120.0, **environment: str) -> str:
        """Run a command in the checkout and return what it wrote.

        Raises:
            CommandError: it failed.
        """
        done = self.attempt(*command, within=within, **environment)
        if done.returncode:
            raise CommandError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def attempt(self, *command: str, within: float = 120.0, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout and return how it ended."""
        return subprocess.run(
            command,
            cwd=ROOT,
            env=self._environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=within,
        )

    def compose(self, *arguments: str, within: float = 120.0) -> str:
        """Run `docker compose` on this stack."""
        return self.run("docker", "compose", *arguments, within=within)

    def records(self, event: str) -> list[dict[str, Any]]:
        """Return the log entries of all gateways about an event."""
        lines = self.compose("logs", "--no-log-prefix", "gateway").splitlines()
        # Compose begins each line with a control sequence, even in a pipe.
        entries = [json.loads(line[line.index("{") :]) for line in lines if "{" in line]
        return [entry for entry in entries if entry["event"] == event]

    async def scale(self, gateways: int) -> None:
        """Do what `docker compose up --scale` does; returns when all that are left are ready."""
        await asyncio.to_thread(self.compose, "up", "--scale", f"gateway={gateways}", "--wait")

    async def fresh(self, gateways: int) -> list[Gateway]:
        """Return so many gateways, whatever a test before has left behind, all of them known to the balancer."""
        await asyncio.to_thread(self.compose, "rm", "--force", "gateway")
        await self.scale(gateways)
        found = self.gateways()
        assert len(found) == gateways
        await self.has_clients(0)
        await self.all_serve(found)
        return found

    async def all_serve(self, gateways: Sequence[Gateway], within: float = 30.0) -> None:
        """Wait until the balancer sends new clients to each of these, and take those clients away again."""
        before = sum(await self.clients())

        async def serves() -> bool:
            async with connected(*[f"{self.url}/ws/who"] * 2 * len(gateways)):
                return all(await self.clients(gateways))

        await wait_until(serves, within, lambda: f"clients go to all of {gateways}")
        await self.has_clients(before)

    def gateways(self) -> list[Gateway]:
        """Return the gateways that run, in the order of their names."""
        containers = self.compose("ps", "--quiet", "gateway").split()
        form = "{{.Id}} {{.Name}} {{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        lines = self.run("docker", "inspect", "--format", form, *containers).splitlines() if containers else []
        found = [Gateway(*line.replace(" /", " ").split(" ")) for line in lines]
        return sorted(found, key=lambda gateway: gateway.name)

    async def clients(self, gateways: Sequence[Gateway] | None = None) -> list[int]:
        """Return how many clients each gateway has."""
        asked = self.gateways() if gateways is None else gateways
        counts = await asyncio.gather(*(gateway.count("relay_connections_open") for gateway in asked))
        return [int(count) for count in counts]

    async def has_clients(self, total: int, within: float = 60.0) -> None:
        """Wait until all gateways together have so many clients."""
        seen: list[int] = []

        async def has() -> bool:
            seen[:] = await self.clients()
            return sum(seen) == total

        await wait_until(has, within, lambda: f"{seen} are not {total}")

    async def more_messages(self, count: int, within: float = 60.0) -> None:
        """Wait until so many more messages have come from clients; gateways may neither come nor go meanwhile."""
        gateways = self.gateways()

        async def received() -> float:
            return sum(await asyncio.gather(*(gateway.count("relay_messages_received_total") for gateway in gateways)))

        enough = await received() + count

        async def has() -> bool:
            return await received() >= enough

        await wait_until(has, within, f"{count} more messages")
