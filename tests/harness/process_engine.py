"""A `docker` whose containers are processes: as much of it as deploy/rolling-restart asks for, on any machine."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.harness.conditions import wait_until
from tests.harness.gateway_process import GatewayProcess, Setting, end, launch
from tests.harness.http_response import get
from tests.harness.tcp_proxy import TcpProxy

CHECK_SECONDS = 0.1
STOP_SECONDS = 60.0

# The real gateways are those of the engine: this asks it, and says what it says.
_PROGRAM = """#!{python}
import json, socket, sys
with socket.socket(socket.AF_UNIX) as engine:
    engine.connect({path!r})
    engine.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
    answer = json.loads(engine.makefile().readline())
sys.stdout.write(answer["output"])
sys.exit(answer["code"])
"""


class ProcessEngine:
    """Gateways behind a balancer, and a `docker` that starts and stops them. An async context manager.

    Args:
        gateways: how many there are at first.
        **settings: of each gateway.

    Attributes:
        containers: id → gateway, those included that have ended and aren't removed.
        balancer: sends each new connection to the next gateway that says that it is ready.
    """

    def __init__(self, gateways: int, **settings: Setting) -> None:
        self.containers: dict[str, GatewayProcess] = {}
        self.balancer = TcpProxy(in_turn=True)
        self._first = gateways
        self._settings = settings
        self._made = 0
        self._past: list[GatewayProcess] = []
        self._folder = tempfile.TemporaryDirectory(prefix="relay-engine-")
        self._server: asyncio.Server | None = None
        self._checking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        path = Path(self._folder.name) / "engine"
        self._server = await asyncio.start_unix_server(self._serve, path)
        program = Path(self._folder.name) / "docker"
        program.write_text(_PROGRAM.format(python=sys.executable, path=str(path)))
        program.chmod(0o755)
        await self.balancer.__aenter__()
        await self._scale(self._first)
        self._checking = asyncio.create_task(self._check())
        await wait_until(lambda: len(self.balancer.targets) == self._first, what="the balancer knows all gateways")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._server is not None
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)
        self._server.close()
        await self.balancer.__aexit__(None, None, None)
        end([*self.containers.values(), *self._past])
        self._folder.cleanup()

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"ws://127.0.0.1:{self.balancer.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Environment in which `docker` is this one."""
        return {**os.environ, "PATH": f"{self._folder.name}:{os.environ['PATH']}"}

    @asynccontextmanager
    async def script(self, *command: str | Path) -> AsyncIterator[Process]:
        """Run a program that calls `docker`; it is killed at the end if it still runs."""
        process = await asyncio.create_subprocess_exec(
            *map(str, command), env=self.environment, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.communicate()

    async def _check(self) -> None:
        """Do what a balancer's health check does."""
        while True:
            states = await asyncio.gather(*(_is_ready(gateway) for gateway in self.containers.values()))
            ready = {gateway.port for gateway, good in zip(self.containers.values(), states, strict=False) if good}
            # Those that are there keep their turn.
            kept = [port for port in self.balancer.targets if port in ready]
            self.balancer.targets = (*kept, *(ready - set(kept)))
            await asyncio.sleep(CHECK_SECONDS)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            arguments = json.loads(await reader.readline())
            output = await self._do(arguments)
            writer.write(json.dumps({"output": "".join(f"{line}\n" for line in output), "code": 0}).encode() + b"\n")
        finally:
            writer.close()

    async def _do(self, arguments: Sequence[str]) -> list[str]:
        match arguments:
            case ["compose", "rm", "--force", "gateway"]:
                await self._remove(*(name for name, gateway in self.containers.items() if not gateway.running))
            case ["compose", "ps", "--quiet", "gateway"]:
                return [name for name, gateway in self.containers.items() if gateway.running]
            case ["compose", "ps", "--all", "--quiet", "gateway"]:
                return list(self.containers)
            case ["compose", "ps", "gateway"]:
                return [f"{name} {'Up' if each.running else 'Exited'}" for name, each in self.containers.items()]
            case ["compose", "--progress", "quiet", "up", *options] if "--scale" in options:
                await self._scale(int(options[options.index("--scale") + 1].partition("=")[2]), wait=False)
            case ["inspect", "--format", form, container]:
                return [await self._inspect(form, self.containers[container])]
            case ["logs", "--tail", _, container]:
                return self.containers[container].output.splitlines()[-10:]
            case ["stop", container]:
                await self.containers[container].terminate(STOP_SECONDS)
            case ["rm", *_, container]:
                await self._remove(container)
            case _:
                raise ValueError(arguments)
        return []

    async def _inspect(self, form: str, gateway: GatewayProcess) -> str:
        if "Health" in form:
            return f"running {'healthy' if await _is_ready(gateway) else 'starting'}" if gateway.running else "exited"
        if "ExitCode" in form:
            return str(gateway.exit_code)
        return next(name for name, each in self.containers.items() if each is gateway)

    async def _scale(self, gateways: int, wait: bool = True) -> None:
        running = sum(gateway.running for gateway in self.containers.values())
        fresh = [GatewayProcess(**self._settings) for _ in range(gateways - running)]
        for gateway in fresh:
            self._made += 1
            self.containers[f"gateway-{self._made}"] = gateway
        if wait:
            await launch(*fresh)

    async def _remove(self, *names: str) -> None:
        self._past += [self.containers.pop(name) for name in names]


async def _is_ready(gateway: GatewayProcess) -> bool:
    """Return what a health check would find."""
    if not gateway.running:
        return False
    if not gateway.port:
        if not gateway.records("listening"):
            return False
        await gateway.listening()
    try:
        return (await get(gateway.port, "/readyz")).status == 200
    except (OSError, EOFError):
        return False
