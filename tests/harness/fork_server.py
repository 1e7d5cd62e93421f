"""Loads the command `relay` once, and runs it in forks of this process, each as `python -m relay` would.

A gateway loads 850 modules, which costs half a second of a processor; a test run starts hundreds of gateways. One line
of JSON on standard input asks for something, and one on standard output answers; see `forked_process.py`.
"""

from __future__ import annotations

import json
import os
import runpy
import signal
import sys
from contextlib import suppress
from importlib import import_module
from typing import TypedDict

LOADED = (
    "relay.authenticators.function",
    "relay.authenticators.http",
    "relay.authenticators.jwt",
    "relay.authenticators.key",
    "relay.brokers.memory",
    "relay.brokers.redis",
    "relay.cli.serve",
    "relay.cli.gateway_process",
    "relay.gateway",
    "uvloop",
)
"""What gateways load, or most of it. Nothing may run at an import that must be different in each process."""


class Launch(TypedDict):
    """A process to start.

    Args:
        arguments: of the command line.
        environment: all of its variables.
        folder: where it works.
        log: file that gets its standard output and errors.
    """

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    log: str


def serve() -> Launch | None:
    """Answer requests; return what to run in each fork, and None at the end of the input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # typed at the terminal of the test run, which ends this process
    for line in sys.stdin:
        request = json.loads(line)
        if "launch" in request:
            answer: int | None = os.fork()
            if answer == 0:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                launch: Launch = request["launch"]
                return launch
        else:
            pid, status = os.waitpid(request["pid"], 0 if request["wait"] else os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        print(json.dumps(answer), flush=True)  # noqa: T201  # it answers
    return None


def become(launch: Launch) -> None:
    """Give this process its surroundings."""
    for descriptor, path, flags in (
        (0, os.devnull, os.O_RDONLY),
        (1, launch["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT),
    ):
        opened = os.open(path, flags)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.dup2(1, 2)
    os.chdir(launch["folder"])
    os.environ.clear()
    os.environ.update(launch["environment"])
    sys.argv[1:] = launch["arguments"]


if __name__ == "__main__":
    for name in LOADED:
        with suppress(ImportError):  # whatever misses it says so
            import_module(name)
    # Not called from within the loop: a gateway that ends ends its interpreter, with all that this may complain about.
    if (given := serve()) is not None:
        become(given)
        runpy.run_module("relay", run_name="__main__", alter_sys=True)
