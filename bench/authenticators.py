"""How fast clients come in past an authenticator that takes its time: python -m bench.authenticators.

All clients connect at once. With `function` an async function in the gateway sleeps for each of them, with `http` a
back end beside the clients does; `none` is what they wait for anyway.
"""

from __future__ import annotations

import asyncio
import json
import os
import select
import socket
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
from aiohttp import web

from relay.auth.grant import Grant
from relay.protocols.request import ConnectRequest

from . import machine
from .servers import end, free_port, start

DELAY = float(os.environ.get("BENCH_DELAY", "0.05"))
"""Seconds that the function and the back end take, in the processes of both."""

REQUEST = (
    b"GET /ws/lobby HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nAuthorization: Bearer %d\r\n\r\n"
)
KINDS = ("none", "function", "http")


async def sleep_and_let_in(request: ConnectRequest) -> Grant:
    """Let every client in after a while; RELAY_AUTH names this function."""
    await asyncio.sleep(DELAY)
    return Grant("ann", {"*": "rw"})


def serve_back_end(port: int) -> None:
    """Answer as a back end, after a while; GET tells how many requests it had at once at most."""
    now = most = 0

    async def decide(request: web.Request) -> web.Response:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(DELAY)
        now -= 1
        return web.json_response({"user": "ann", "channels": {"*": "rw"}})

    async def tell(request: web.Request) -> web.Response:
        return web.json_response(most)

    app = web.Application()
    app.router.add_post("/", decide)
    app.router.add_get("/", tell)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


@contextmanager
def process(command: list[str], cores: set[int], port: int, env: dict[str, str]) -> Iterator[int]:
    """Run a server until the block ends; enter when it listens, with its process id."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryDirectory() as folder:
        root = str(Path(__file__).resolve().parents[1])
        running = start(command, cores, output, {"PYTHONPATH": root, "HOME": folder, **env})
        try:
            for _ in range(600):
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.1):
                    break
                if running.poll() is not None:
                    output.seek(0)
                    raise click.ClickException(output.read().decode())
                time.sleep(0.1)
            yield running.pid
        finally:
            end(running)


def connect_all(port: int, count: int) -> list[float]:
    """Connect so many clients at once; return the seconds from the beginning until each was let in."""
    waits: list[float] = []
    epoll = select.epoll()
    open_: dict[int, tuple[socket.socket, bytearray]] = {}
    began_at = time.perf_counter()
    try:
        for number in range(count):
            sock = socket.socket()
            sock.connect(("127.0.0.1", port))
            sock.sendall(REQUEST % number)
            sock.setblocking(False)
            open_[sock.fileno()] = (sock, bytearray())
            epoll.register(sock, select.EPOLLIN)
        while len(waits) < count:
            for descriptor, _ in epoll.poll(30):
                sock, received = open_[descriptor]
                chunk = sock.recv(4096)
                received += chunk
                if b"\r\n\r\n" in received and received.startswith(b"HTTP/1.1 101 "):
                    waits.append(time.perf_counter() - began_at)
                    epoll.unregister(descriptor)
                elif not chunk or b"\r\n\r\n" in received:
                    raise click.ClickException(f"a client was refused: {bytes(received)!r}")
    finally:
        for sock, _ in open_.values():
            sock.close()
    return waits


@contextmanager
def undisturbed(pids: list[int], realtime: bool) -> Iterator[None]:
    """Keep other programs away from the cores of processes, and of this one, for as long as the block takes.

    Args:
        pids: of the processes.
        realtime: whether to; else nothing is done.
    """
    threads = [int(thread) for pid in (os.getpid(), *pids) for thread in os.listdir(f"/proc/{pid}/task")]
    for thread in threads if realtime else ():
        os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(1))
    try:
        yield
    finally:
        for thread in threads if realtime else ():
            os.sched_setscheduler(thread, os.SCHED_OTHER, os.sched_param(0))


def measure(kind: str, clients: int, delay: float, realtime: bool) -> tuple[list[float], float, int]:
    """Return when each client was let in, the CPU seconds of the gateway, and the back end's most requests at once."""
    port, back_end = free_port(), free_port()
    env = {"RELAY_LOG_LEVEL": "error", "RELAY_MAX_NEW_CONNECTIONS_PER_SECOND": "0", "BENCH_DELAY": str(delay)}
    env |= {
        "none": {},
        "function": {"RELAY_AUTH": f"{__spec__.name}.sleep_and_let_in"},
        "http": {"RELAY_AUTH": "http", "RELAY_AUTH_URL": f"http://127.0.0.1:{back_end}/"},
    }[kind]
    gateway = [sys.executable, "-m", "relay", "serve", "--port", str(port)]
    server = [sys.executable, "-m", str(__spec__.name), "--back-end", str(back_end)]
    with (
        process(server, machine.CLIENT_CORES, back_end, env) as server_pid,
        process(gateway, machine.SERVER_CORES, port, env) as pid,
    ):
        connect_all(port, 50)  # what is loaded or connected at first use
        cpu = machine.cpu_seconds(pid)
        with undisturbed([pid, server_pid], realtime):
            waits = connect_all(port, clients)
        cpu = machine.cpu_seconds(pid) - cpu
        with urllib.request.urlopen(f"http://127.0.0.1:{back_end}/") as answer:
            most = int(json.load(answer))
    return waits, cpu, most


@click.command(context_settings={"show_default": True})
@click.option("--clients", default=1000, help="Clients that connect at once.")
@click.option("--delay", default=0.05, help="Seconds that the authenticator takes for each.")
@click.option("--rounds", default=3, help="Runs of each kind; the median counts.")
@click.option("--patience", default=60.0, help="Seconds to wait, in all, for a quiet machine.")
@click.option("--realtime", is_flag=True, help="Keep other programs away for each second that counts; needs root.")
@click.option("--back-end", type=int, hidden=True, help="Be the back end, on this port.")
def main(clients: int, delay: float, rounds: int, patience: float, realtime: bool, back_end: int | None) -> None:
    """Let many clients in at once, and print how long it took."""
    machine.raise_file_limit(clients + 200)
    if back_end is not None:
        serve_back_end(back_end)
        return
    os.sched_setaffinity(0, machine.CLIENT_CORES)
    click.echo(machine.description())
    click.echo("| authenticator | all in (each round) | half of them in | CPU per client | back end: most at once |")
    click.echo("|---|---|---|---|---|")
    for kind in KINDS:
        if not realtime:
            machine.wait_until_quiet(patience / len(KINDS))
        runs = [measure(kind, clients, delay, realtime) for _ in range(rounds)]
        lasts = [max(waits) for waits, _, _ in runs]
        half = statistics.median(statistics.median(waits) for waits, _, _ in runs)
        cpu = statistics.median(cpu for _, cpu, _ in runs) / clients
        most = str(max(most for _, _, most in runs)) if kind == "http" else ""
        shown = ", ".join(f"{last * 1000:.0f}" for last in lasts)
        click.echo(
            f"| {kind} | {statistics.median(lasts) * 1000:.0f} ms ({shown}) | {half * 1000:.0f} ms "
            f"| {cpu * 1e6:.0f} µs | {most} |"
        )


if __name__ == "__main__":
    main()
