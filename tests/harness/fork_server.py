"""Loads the command `relay` once, and runs it in forks of this process, each as `python -m` with a module would.

A gateway loads 850 modules, which costs half a second of a processor; a test run starts hundreds of gateways, workers
and commands. One line of JSON over a socket asks for something, and one answers; see `forked_process.py`.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import runpy
import signal
import socket
import sys
import time
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import Any, TypedDict

LOADED = (
    "relay.authenticators.function",
    "relay.authenticators.http",
    "relay.authenticators.jwt",
    "relay.authenticators.key",
    "relay.brokers.memory",
    "relay.brokers.redis",
    "relay.cli.serve",
    "relay.cli.gateway_process",
    "relay.cli.supervisor_process",
    "relay.gateway",
    "relay.workers.shared_sockets",
    "relay.workers.supervisor_client",
    "tests.harness.forked_worker",
    "uvloop",
)
"""What gateways load, or most of it. Nothing may run at an import that must be different in each process."""

LOADED_LATER = {
    "config": ("relay.cli.config", "rich.box", "rich.console", "rich.table", "rich.text"),
    "health": ("relay.cli.health", "relay.cli.other_server"),
    "history": ("relay.cli.history", "relay.cli.history_pages", "relay.cli.interruption"),
    "loadtest": ("relay.cli.loadtest", "relay.cli.loadtest_run"),
    "publish": ("relay.cli.publish", "relay.cli.delivery", "relay.cli.interruption"),
    "subscribe": ("relay.cli.subscribe", "relay.cli.event_tail", "relay.cli.tail", "relay.cli.interruption"),
    "token": ("relay.cli.token", "relay.cli.token_check", "relay.cli.new_token"),
}
"""Subcommand → what it loads, once a test asks for it: most files of tests start gateways alone."""


class Launch(TypedDict):
    """A process to start.

    Args:
        module: that runs as the main one.
        arguments: of the command line.
        environment: all of its variables.
        folder: where it works.
        descriptors: the numbers by which it knows the file descriptors that come with the request, in their order.
        blocked: numbers of the signals that stay pending until it unblocks them.
    """

    module: str
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    descriptors: list[int]
    blocked: list[int]


def serve(channel: socket.socket) -> tuple[Launch, list[int]] | None:
    """Answer requests; return what to run in each fork, with its file descriptors, and None at the end of the input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # typed at the terminal of the test run, which ends this process
    while (received := _receive(channel)) is not None:
        request, descriptors = received
        if "launch" in request:
            launch: Launch = request["launch"]
            _load(launch["arguments"])
            signal.pthread_sigmask(signal.SIG_BLOCK, launch["blocked"])
            answer: int | None = os.fork()
            if answer == 0:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                return launch, descriptors
            signal.pthread_sigmask(signal.SIG_UNBLOCK, launch["blocked"])
            for descriptor in descriptors:
                os.close(descriptor)
        else:
            pid, status = os.waitpid(request["pid"], 0 if request["wait"] else os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        channel.sendall(json.dumps(answer).encode() + b"\n")
    return None


def become(launch: Launch, descriptors: list[int]) -> None:
    """Give this process its surroundings; it keeps no file descriptor but the given ones."""
    numbers = launch["descriptors"]
    first = max(numbers, default=2) + 1
    aside = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, first) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    os.closerange(0, first)
    for number, descriptor in zip(numbers, aside, strict=True):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(launch["folder"])
    sys.path[0] = launch["folder"]
    os.environ.clear()
    os.environ.update(launch["environment"])
    time.tzset()
    sys.argv[1:] = launch["arguments"]
    _open_streams()


def _receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]] | None:
    """Return the next request and the file descriptors that came with it; None at the end."""
    line, descriptors = b"", []
    while not line.endswith(b"\n"):
        data, some, _, _ = socket.recv_fds(channel, 65536, 16)
        if not data:
            return None
        line += data
        descriptors += some
    return json.loads(line), descriptors


def _load(arguments: list[str]) -> None:
    names = LOADED_LATER.get(arguments[0], ()) if arguments else ()
    for name in names:
        if name not in sys.modules:
            import_module(name)
            gc.freeze()  # so that forks share the memory


def _open_streams() -> None:
    """Open the standard streams as Python does when it starts; one that is closed is None."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        template = getattr(sys, name)
        stream = None
        with suppress(OSError):
            os.fstat(number)
            stream = open(  # noqa: SIM115  # for as long as the process lives
                number, mode, encoding=template.encoding, errors=template.errors, newline="\n", closefd=False
            )
            assert isinstance(stream, TextIOWrapper)
            stream.reconfigure(line_buffering=name == "stderr" or stream.isatty())
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(channel: socket.socket) -> None:
    """Serve until the end of the input; each fork runs what was asked for."""
    given = serve(channel)
    channel.close()
    # Not called from within the loop: a gateway that ends ends its interpreter, with all that this may complain about.
    if given is None:
        return
    launch, descriptors = given
    become(launch, descriptors)
    if _starts_workers(launch):
        ours, theirs = socket.socketpair()
        if os.fork() == 0:  # the server of this supervisor's workers: when one ends, the others do
            ours.close()
            return run(theirs)
        theirs.close()
        import_module("tests.harness.forked_worker").fork_workers(ours)
    runpy.run_module(launch["module"], run_name="__main__", alter_sys=True)


def _starts_workers(launch: Launch) -> bool:
    return launch["arguments"][:1] == ["serve"] and launch["environment"].get("RELAY_WORKERS", "1") != "1"


if __name__ == "__main__":
    for name in LOADED:
        with suppress(ImportError):  # whatever misses it says so
            import_module(name)
    gc.freeze()
    run(socket.socket(fileno=int(sys.argv[1])))
