"""A process that runs the command `relay` without loading it first; see `fork_server.py`."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.harness import guard
from tests.harness.fork_server import Launch

ROOT = Path(__file__).resolve().parents[2]


class ForkedProcess:
    """`python -m relay` with arguments; has what tests need of `subprocess.Popen`.

    Args:
        arguments: of the command line.
        environment: all of its variables.
        folder: where it works.
        log: file that gets its standard output and errors.
    """

    def __init__(self, *arguments: str, environment: Mapping[str, str], folder: str, log: Path) -> None:
        launch = Launch(arguments=list(arguments), environment=dict(environment), folder=folder, log=str(log))
        self._exit_code: int | None = None
        self.pid = int(_ask({"launch": launch}))

    def poll(self) -> int | None:
        """Return its exit code, or the negative number of a signal; None while it runs."""
        return self._find_exit_code(wait=False)

    def wait(self) -> int:
        """Return its exit code once it has ended."""
        code = self._find_exit_code(wait=True)
        assert code is not None
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal; nothing happens when it has ended."""
        if self.poll() is None:  # until its exit code was asked for, no other process gets its number
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once; nothing happens when it has ended."""
        self.send_signal(signal.SIGKILL)

    def _find_exit_code(self, *, wait: bool) -> int | None:
        if self._exit_code is None:
            self._exit_code = _ask({"pid": self.pid, "wait": wait})
        return self._exit_code


def start(
    *arguments: str, environment: Mapping[str, str], folder: str, log: Path
) -> ForkedProcess | subprocess.Popen[bytes]:
    """Start a `ForkedProcess`; or one that loads everything itself, as it might load something else.

    Libraries read variables when they are loaded: the path of the modules, or which certificates are trusted.
    """
    if _lasting(environment) == _server_environment():
        return ForkedProcess(*arguments, environment=environment, folder=folder, log=log)
    return start_anew("-m", "relay", *arguments, environment=environment, folder=folder, log=log)


def start_anew(*words: str, environment: Mapping[str, str], folder: str, log: Path) -> subprocess.Popen[bytes]:
    """Start Python with some words; arguments as for `ForkedProcess`."""
    with log.open("wb") as output:
        return subprocess.Popen(
            [sys.executable, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environment,
            cwd=folder,
        )


def _lasting(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what is the same for all processes of a test run, unless a test changes it."""
    changing = ("RELAY_", "COV", "PYTEST_")
    return {name: value for name, value in environment.items() if not name.startswith(changing)}


@functools.cache
def _server_environment() -> dict[str, str]:
    return {**_lasting(os.environ), "PYTHONPATH": str(ROOT)}


@functools.cache
def _server() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.harness.fork_server"]
    server = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=_server_environment()
    )
    guard.watch(server.pid)
    return server


def dismiss() -> None:
    """End the process of which all others are forks."""
    if _server.cache_info().currsize:
        server = _server()
        server.communicate()
        guard.unwatch(server.pid)
        _server.cache_clear()


def _ask(request: object) -> Any:
    server = _server()
    assert server.stdin is not None
    assert server.stdout is not None
    server.stdin.write(json.dumps(request) + "\n")
    return json.loads(server.stdout.readline())
