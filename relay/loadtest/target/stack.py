"""The gateways that `--gateways` starts and stops, with a Redis when they need one."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Final, Self

from relay.errors import RelayError
from relay.loadtest.target.reaper import Reaper
from relay.redaction import mask_variable

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.01
ANSWER_SECONDS: Final = 1.0
LOG_TAIL: Final = 2000

MEMORY_BUS: Final = "memory://"
"""The bus of a single gateway."""

_HOST: Final = "127.0.0.1"


class StackError(RelayError):
    """The servers for the load test could not be started.

    Args:
        problem: what happened, as a sentence without a full stop.
        log: the end of the server's log; empty when the server never ran.
    """

    def __init__(self, problem: str, log: str = "") -> None:
        super().__init__(problem, log)
        self.problem = problem
        self.log = log

    def __str__(self) -> str:
        return f"{self.problem}; the end of its log:\n{self.log}" if self.log else self.problem


class Stack:
    """Gateways on free ports of 127.0.0.1; all other settings are those of this environment. A context manager.

    If the settings name a memory bus, several gateways get a Redis of their own, without persistence. After entry all
    servers are ready; after exit all have ended. They also end when this process dies.

    Args:
        gateways: number of gateways.
        broker_url: bus of the gateways according to the user's settings.
        defaults: `RELAY_*` variables that are set unless this environment has them.

    Attributes:
        urls: URLs of the gateways, such as ws://127.0.0.1:40123, or wss:// with RELAY_TLS_CERT.
        pids: name of a gateway, such as "gateway 1" → process id.
        settings: `RELAY_*` variables that the gateways were started with; secrets masked.
        redis_url: URL of the Redis that they share; None with a memory bus.
        redis_pid: process id of the Redis that was started; None when none was.
        deaths: one text for each server that ended before it was stopped, with the end of its log; set on exit.
    """

    def __init__(
        self, gateways: int, broker_url: str = MEMORY_BUS, defaults: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._count = gateways
        self._defaults = defaults
        self.urls: list[str] = []
        self.pids: dict[str, int] = {}
        self.settings: dict[str, str] = {}
        self.redis_url = None if broker_url == MEMORY_BUS else broker_url
        self.redis_pid: int | None = None
        self.deaths: list[str] = []
        self._gateways: list[_Server] = []
        self._redis: list[_Server] = []
        self._exits = ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.deaths = [
            str(StackError(f"{server.name} ended with exit code {server.exit_code} during the run", server.tail()))
            for server in [*self._gateways, *self._redis]
            if not server.running
        ]
        self._stop()

    def _start(self) -> None:
        folder = Path(self._exits.enter_context(tempfile.TemporaryDirectory(prefix="relay-loadtest-")))
        reaper = Reaper(folder)
        self._exits.callback(reaper.release)
        deadline = time.monotonic() + START_SECONDS
        if self._count > 1 and self.redis_url is None:
            self._start_redis(folder, reaper, deadline)
        environment = self._environment()
        self.settings = {
            name: mask_variable(name, value) for name, value in sorted(environment.items()) if name.startswith("RELAY_")
        }
        # -P: a file in the working folder, such as redis.py, must not shadow a library.
        command = [sys.executable, "-P", "-m", "relay", "serve"]
        for number in range(1, self._count + 1):
            log = folder / f"gateway-{number}.log"
            self._gateways.append(_Server(f"gateway {number}", command, log, environment))
            reaper.watch(self._gateways[-1].pid)
        for gateway in self._gateways:
            gateway.wait_for(gateway.logged_ready, deadline)
            self.urls.append(gateway.records("listening")[0]["url"])
            self.pids[gateway.name] = gateway.pid

    def _start_redis(self, folder: Path, reaper: Reaper, deadline: float) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise StackError(
                f"{self._count} gateways need a Redis, and redis-server is not installed: install it (apt-get install "
                "redis-server, brew install redis), name a running one with RELAY_BROKER_URL, or start one gateway"
            )
        port = _free_port()
        command = [program, "--bind", _HOST, "--port", str(port), "--dir", str(folder)]
        command += ["--save", "", "--appendonly", "no"]
        server = _Server("redis-server", command, folder / "redis.log", dict(os.environ))
        self._redis.append(server)
        reaper.watch(server.pid)
        server.wait_for(lambda: _answers_ping(port), deadline)
        self.redis_url = f"redis://{_HOST}:{port}/0"
        self.redis_pid = server.pid

    def _environment(self) -> dict[str, str]:
        """Return the environment of a gateway: that of this process, with the variables that the load test sets.

        Clients of a load test send and come as fast as they can, so limits of that are lifted unless they are set.
        """
        return {
            "RELAY_MAX_MESSAGES_PER_SECOND": "0",
            "RELAY_MAX_BYTES_PER_SECOND": "0",
            "RELAY_MAX_NEW_CONNECTIONS_PER_SECOND": "0",
            **self._defaults,
            **os.environ,
            "RELAY_BROKER_URL": self.redis_url or MEMORY_BUS,
            "RELAY_HOST": _HOST,
            "RELAY_PORT": "0",
            "RELAY_LOG_FORMAT": "json",
            "RELAY_LOG_LEVEL": "info",
            "RELAY_DRAIN_DELAY": "0",
            "RELAY_DRAIN_SECONDS": "0",
        }

    def _stop(self) -> None:
        """Stop the gateways, then Redis: in the other order the gateways would try to reconnect."""
        try:
            for servers in (self._gateways, self._redis):
                deadline = time.monotonic() + STOP_SECONDS
                for server in servers:
                    server.terminate()
                for server in servers:
                    server.wait(deadline)
        finally:  # even after a second Ctrl-C
            for server in [*self._gateways, *self._redis]:
                server.kill()
            self._exits.close()


class _Server:
    """One server process with a log file, in a session of its own: Ctrl-C on the terminal must not reach it."""

    def __init__(self, name: str, command: Sequence[str], log: Path, environment: dict[str, str]) -> None:
        self.name = name
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603  # a server of the load test, without a shell
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        self.pid = self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode

    def records(self, event: str) -> list[dict[str, Any]]:
        """Return the entries of an event in a gateway's log; an unfinished last line is left out."""
        lines = self._log.read_text(errors="replace").splitlines()
        entries = [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]
        return [entry for entry in entries if entry.get("event") == event]

    def logged_ready(self) -> bool:
        return bool(self.records("ready"))

    def tail(self) -> str:
        return self._log.read_text(errors="replace")[-LOG_TAIL:].strip()

    def wait_for(self, ready: Callable[[], bool], deadline: float) -> None:
        while not ready():
            if not self.running:
                raise StackError(f"{self.name} ended with exit code {self.exit_code} while it started", self.tail())
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} was not ready within {START_SECONDS:g} s", self.tail())
            time.sleep(POLL_SECONDS)

    def terminate(self) -> None:
        self._process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait until the process has ended, or the deadline has passed."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(max(0.0, deadline - time.monotonic()))

    def kill(self) -> None:
        """Kill the process; a no-op when it has ended."""
        self._process.kill()
        self._process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _answers_ping(port: int) -> bool:
    with suppress(OSError), socket.create_connection((_HOST, port), timeout=ANSWER_SECONDS) as connection:
        connection.sendall(b"PING\r\n")
        return connection.recv(16).startswith(b"+PONG")
    return False
