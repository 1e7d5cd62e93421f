"""Redis and the servers under test, each a subprocess on its own core."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import IO

import click
import redis

from .machine import CLIENT_CORES, SERVER_CORES, cpu_seconds, resident_bytes, stolen_seconds, waiting_seconds
from .wire import open_many

PREFIXES = {"everyday": "everyday:", "relay": "relay:"}  # of the channels on Redis
LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
NEVER = 3600  # seconds between pings when a run wants none


def free_port() -> int:
    """Return a port of 127.0.0.1 that is free now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def start(
    command: list[str], cores: set[int], output: IO[bytes], env: dict[str, str], folder: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start a process on some cores, in a folder or in that of this process; the kernel kills it when this one ends."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        env=os.environ | env,
        cwd=folder,
        preexec_fn=partial(_begin, cores, os.getpid()),
    )


def _begin(cores: set[int], parent: int) -> None:
    """Take cores, and end with the parent, whatever ends it; runs in a new process."""
    os.sched_setaffinity(0, cores)
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)  # it has ended before the kernel was asked


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and end it after 5 seconds."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@dataclass(frozen=True)
class Clocks:
    """What the processes have used so far, or between two moments, in seconds."""

    server: float = 0.0  # CPU time
    server_waiting: float = 0.0  # time in which other processes kept it from running
    redis: float = 0.0
    redis_waiting: float = 0.0
    stolen: float = 0.0  # time in which the host ran something else instead of this machine

    def __sub__(self, other: Clocks) -> Clocks:
        """Return what was used since other."""
        return Clocks(
            self.server - other.server,
            self.server_waiting - other.server_waiting,
            self.redis - other.redis,
            self.redis_waiting - other.redis_waiting,
            self.stolen - other.stolen,
        )


@dataclass
class Redis:
    """A running Redis."""

    url: str
    pid: int


@contextmanager
def redis_server() -> Iterator[Redis]:
    """Run a Redis without persistence beside the clients."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1"]
        command += ["--save", "", "--appendonly", "no", "--dir", folder]
        process = start(command, CLIENT_CORES, output, {})
        try:
            url = f"redis://127.0.0.1:{port}/0"
            with redis.Redis.from_url(url) as client:
                wait_for(client.ping, process, output)
            yield Redis(url, process.pid)
        finally:
            end(process)


@dataclass
class Server:
    """A running server under test."""

    kind: str
    port: int
    pid: int
    redis: Redis

    def clocks(self) -> Clocks:
        """Read the clocks of this server and of its Redis."""
        return Clocks(
            cpu_seconds(self.pid),
            waiting_seconds(self.pid),
            cpu_seconds(self.redis.pid),
            waiting_seconds(self.redis.pid),
            stolen_seconds(),
        )

    def resident(self) -> int:
        """Return the resident memory in bytes."""
        return resident_bytes(self.pid)

    def wait_subscribed(self, channels: list[str]) -> None:
        """Wait until the server listens to these channels on Redis."""
        if self.kind not in PREFIXES:
            return  # a server without Redis
        names = [PREFIXES[self.kind] + name for name in channels]
        deadline = time.monotonic() + 10
        with redis.Redis.from_url(self.redis.url) as client:
            while any(count < 1 for _, count in client.pubsub_numsub(*names)):
                if time.monotonic() > deadline:
                    raise TimeoutError(f"{self.kind} did not subscribe to {names} on Redis")
                time.sleep(0.05)


@contextmanager
def server(
    kind: str,
    command: list[str],
    bus: Redis,
    event_loop: str,
    ping_interval: float | None,
    folder: Path | None = None,
    settings: Mapping[str, str] | None = None,
    headers: bytes = b"",
) -> Iterator[Server]:
    """Run a server under test on the server's core.

    Args:
        kind: everyday, relay or floor.
        command: how it is started; the rest is passed in the environment.
        bus: its Redis.
        event_loop: auto, uvloop or asyncio.
        ping_interval: seconds; None for no pings.
        folder: where it is started; None for that of this process.
        settings: further environment variables.
        headers: further lines of the request that finds out whether it is there.
    """
    port = free_port()
    with tempfile.TemporaryFile() as output:
        env = environment(kind, port, bus.url, event_loop, ping_interval) | dict(settings or {})
        process = start(command, SERVER_CORES, output, env, folder)
        try:
            wait_for(lambda: open_many(port, "/ws/warm-up", 1, repeat(headers))[0].close(), process, output)
            yield Server(kind, port, process.pid, bus)
            if complaints := tail(output):
                click.echo(f"--- {kind} said:\n{complaints}", err=True)
        finally:
            end(process)


def environment(kind: str, port: int, redis_url: str, event_loop: str, ping_interval: float | None) -> dict[str, str]:
    """Return the environment variables that configure a server under test."""
    if kind == "everyday":
        return {
            "EVERYDAY_PORT": str(port),
            "EVERYDAY_REDIS_URL": redis_url,
            "EVERYDAY_PING_INTERVAL": str(ping_interval or 0),
            "EVERYDAY_EVENT_LOOP": "uvloop" if event_loop == "auto" else event_loop,
        }
    if kind == "floor":
        return {"FLOOR_PORT": str(port)}
    return {
        "RELAY_HOST": "127.0.0.1",
        "RELAY_PORT": str(port),
        "RELAY_BROKER_URL": redis_url,
        "RELAY_PING_INTERVAL": str(ping_interval or NEVER),
        "RELAY_EVENT_LOOP": event_loop,
        "RELAY_LOG_LEVEL": "warning",
        "RELAY_DRAIN_SECONDS": "0",
        # No client opens and closes connections as fast as it can. Limits of messages stay: they cost something.
        "RELAY_MAX_NEW_CONNECTIONS_PER_SECOND": "0",
    }


def wait_for(attempt: Callable[[], object], process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
    """Wait until an attempt succeeds; say what the process printed when it never does."""
    deadline = time.monotonic() + 20
    while True:
        try:
            attempt()
            return
        except (OSError, redis.ConnectionError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                message = f"{process.args!r} did not start: {error}"
                raise SystemExit(f"{message}\n{tail(output)}") from None
            time.sleep(0.05)


def tail(output: IO[bytes]) -> str:
    """Return the last 2000 characters of what a process printed."""
    output.seek(0)
    return output.read().decode(errors="replace")[-2000:].strip()
