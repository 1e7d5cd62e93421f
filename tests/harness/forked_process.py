"""A process that runs the command `relay`, or another module of it, without loading it first; see `fork_server.py`."""

from __future__ import annotations

import functools
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tests.harness import guard
from tests.harness.fork_server import Launch

ROOT = Path(__file__).resolve().parents[2]


class Running(Protocol):
    """What tests need of a process."""

    pid: int

    def poll(self) -> int | None:
        """Return its exit code, or the negative number of a signal; None while it runs."""

    def wait(self) -> int:
        """Return its exit code once it has ended."""

    def send_signal(self, sig: int, /) -> None:
        """Send a signal; nothing happens when it has ended."""

    def kill(self) -> None:
        """End it at once; nothing happens when it has ended."""


class ForkServer:
    """A process of which others are forks.

    Args:
        channel: to it.
    """

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def ask(self, request: object, descriptors: Iterable[int] = ()) -> Any:
        """Send a request, with file descriptors, and return the answer."""
        data = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(self._channel, [data], list(descriptors))
        self._channel.sendall(data[sent:])
        answer = b""
        while not answer.endswith(b"\n"):
            received = self._channel.recv(4096)
            if not received:
                raise EOFError("the fork server has ended")
            answer += received
        return json.loads(answer)


class ForkedProcess:
    """`python -m` with a module and arguments; has what tests need of `subprocess.Popen`.

    Args:
        *arguments: of the command line.
        environment: all of its variables.
        folder: where it works.
        descriptors: its file descriptors; number → the one of this process. Without 0, 1 and 2 its streams are closed.
        module: what runs.
        blocked: signals that stay pending until it unblocks them.
        server: of which it is a fork; the one of this test run unless another one is given.
    """

    def __init__(
        self,
        *arguments: str,
        environment: Mapping[str, str],
        folder: str,
        descriptors: Mapping[int, int],
        module: str = "relay",
        blocked: Iterable[signal.Signals] = (),
        server: ForkServer | None = None,
    ) -> None:
        launch = Launch(
            module=module,
            arguments=list(arguments),
            environment=dict(environment),
            folder=folder,
            descriptors=list(descriptors),
            blocked=list(blocked),
        )
        self._server = server or ForkServer(_server()[1])
        self._exit_code: int | None = None
        self.pid = int(self._server.ask({"launch": launch}, descriptors.values()))

    def poll(self) -> int | None:
        """Return its exit code, or the negative number of a signal; None while it runs."""
        return self._find_exit_code(wait=False)

    def wait(self) -> int:
        """Return its exit code once it has ended."""
        code = self._find_exit_code(wait=True)
        assert code is not None
        return code

    def send_signal(self, sig: int, /) -> None:
        """Send a signal; nothing happens when it has ended."""
        if self.poll() is None:  # until its exit code was asked for, no other process gets its number
            os.kill(self.pid, sig)

    def kill(self) -> None:
        """End it at once; nothing happens when it has ended."""
        self.send_signal(signal.SIGKILL)

    def _find_exit_code(self, *, wait: bool) -> int | None:
        if self._exit_code is None:
            self._exit_code = self._server.ask({"pid": self.pid, "wait": wait})
        return self._exit_code


def start(*arguments: str, environment: Mapping[str, str], folder: str, log: Path) -> Running:
    """Start `python -m relay`: a `ForkedProcess`, or one that loads everything itself, as it might load something else.

    Args:
        *arguments: of the command line.
        environment: all of its variables.
        folder: where it works.
        log: file that gets its standard output and errors.
    """
    if not may_fork(environment):
        return start_anew("-m", "relay", *arguments, environment=environment, folder=folder, log=log)
    with Path(os.devnull).open("rb") as nothing, log.open("wb") as output:
        descriptors = {0: nothing.fileno(), 1: output.fileno(), 2: output.fileno()}
        return ForkedProcess(*arguments, environment=environment, folder=folder, descriptors=descriptors)


def start_anew(*words: str, environment: Mapping[str, str], folder: str, log: Path) -> subprocess.Popen[bytes]:
    """Start Python with some words; other arguments as for `start`."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=folder,
        )


def may_fork(environment: Mapping[str, str]) -> bool:
    """Return whether a fork may have these variables.

    Libraries read some when they are loaded: the path of the modules, or which certificates are trusted.
    """
    return _lasting(environment) == _server_environment()


def _lasting(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what is the same for all processes of a test run, unless a test changes it."""
    changing = ("RELAY_", "COV", "PYTEST_", "COLUMNS", "NO_COLOR", "TERM", "TZ")
    return {name: value for name, value in environment.items() if not name.startswith(changing)}


@functools.cache
def _server_environment() -> dict[str, str]:
    return {**_lasting(os.environ), "PYTHONPATH": str(ROOT)}


@functools.cache
def _server() -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.fork_server", str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env=_server_environment(),
            cwd=ROOT,
        )
    guard.watch(server.pid)
    return server, ours


def dismiss() -> None:
    """End the process of which all others are forks."""
    if _server.cache_info().currsize:
        server, channel = _server()
        channel.close()
        server.wait()
        guard.unwatch(server.pid)
        _server.cache_clear()
