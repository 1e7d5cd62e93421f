"""A worker process, with the test as its supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from relay.metrics.snapshot import Snapshot
from relay.settings import Settings
from relay.web.health import SUPERVISOR_SILENT
from relay.workers import worker as worker_module
from relay.workers.messages import Begin, Drain, End, Failed, Listening, State, TellState, TellWhole, Whole
from relay.workers.pipe import Link
from tests.cli.command import ROOT
from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.free_port import free_port
from tests.harness.http_response import get
from tests.harness.websocket_client import connected

WITHIN = PATIENCE_SECONDS


@asynccontextmanager
async def worker(begin: Begin | None) -> AsyncIterator[tuple[Process, Link]]:
    """Start a worker; killed at the end when it still runs.

    Args:
        begin: its first word; None: none.
    """
    ours, theirs = socket.socketpair()
    taker, giver = socket.socketpair()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "relay.cli.worker_process", str(theirs.fileno())),
        pass_fds=[theirs.fileno(), giver.fileno()],
        stderr=PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    theirs.close()
    link = await Link.open(ours)
    try:
        if begin is not None:
            link.send(replace(begin, handover=giver.fileno()))
        yield process, link
    finally:
        await link.close()
        taker.close()
        giver.close()
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def heard(link: Link) -> Any:
    """Return the next report."""
    return await asyncio.wait_for(link.receive(), WITHIN)


async def code_of(process: Process) -> int:
    """Return the exit code once it has ended."""
    return await asyncio.wait_for(process.wait(), WITHIN)


def begin(**given: object) -> Begin:
    """Return the first word to a worker on a free port."""
    fixed = {"port": free_port(), "log_format": "json", "drain_seconds": 0}
    return Begin(3, Settings(**{**fixed, **given}), handover=-1)  # type: ignore[arg-type]


async def test_it_does_what_it_is_told() -> None:
    word = begin()
    port = word.settings.port
    async with worker(word) as (process, link):
        listening = await heard(link)
        assert isinstance(listening, Listening)
        assert listening.build["event_loop"] == "uvloop"
        link.send(TellState())
        state = await heard(link)
        assert isinstance(state, State)
        assert (state.problems, state.snapshot.gauges.ready) == ([], 1)

        # Whoever asks it, means all.
        asking = asyncio.create_task(get(port, "/readyz"))
        assert await heard(link) == TellWhole()
        link.send(Whole(["worker 2: it is not running"], Snapshot()))
        assert (await asking).json["reasons"] == ["worker 2: it is not running"]
        asking = asyncio.create_task(get(port, "/metrics"))
        assert await heard(link) == TellWhole()
        link.send(Whole([], Snapshot()))
        assert "relay_connections_accepted_total 0.0" in (await asking).text

        async with connected(f"ws://127.0.0.1:{port}/ws/a") as (client,):
            link.send(Drain())
            assert await client.ended() == (1001, "going away")
        # Its last word: else this client would be missed, and then counted as one whose connection broke.
        last = await heard(link)
        assert isinstance(last, State)
        assert last.snapshot.counters.connections_closed == {1001: 1}
        assert last.snapshot.counters.connections_open == 0
        assert last.snapshot.gauges.cpu_seconds > 0
        assert await code_of(process) == 0
        assert process.stderr is not None
        assert b'"worker": 3' in await process.stderr.read()


async def test_when_the_supervisor_is_silent_nobody_can_tell() -> None:
    word = begin()
    async with worker(word) as (_, link):
        assert isinstance(await heard(link), Listening)
        answers = [get(word.settings.port, path) for path in ("/readyz", "/metrics", "/healthz")]
        ready, metrics, alive = await asyncio.gather(*answers)
        assert (ready.status, metrics.status, alive.status) == (503, 503, 503)
        assert ready.json["reasons"] == [SUPERVISOR_SILENT]
        assert metrics.text == f"{SUPERVISOR_SILENT}\n"


async def test_it_ends_at_once_when_told_so() -> None:
    word = begin(drain_seconds=600)
    async with worker(word) as (process, link):
        await heard(link)
        async with connected(f"ws://127.0.0.1:{word.settings.port}/ws/a"):
            link.send(Drain())
            link.send(End())
            assert await code_of(process) == 1


async def test_signals_drain_it_however_many_come() -> None:
    """A terminal's Ctrl-C reaches all processes, and the supervisor then tells them again."""
    word = begin(drain_seconds=1)
    async with worker(word) as (process, link):
        await heard(link)
        async with connected(*[f"ws://127.0.0.1:{word.settings.port}/ws/a"] * 2) as clients:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                process.send_signal(number)
            link.send(Drain())
            assert [await client.ended() for client in clients] == [(1001, "going away")] * 2
        assert await code_of(process) == 0


async def test_it_does_not_outlive_its_supervisor() -> None:
    word = begin(drain_seconds=600)
    async with worker(word) as (process, link):
        await heard(link)
        await link.close()
        assert await code_of(process) == 1
    async with worker(None) as (process, link):
        await link.close()
        assert await code_of(process) == 1


async def test_it_says_why_it_can_not_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with worker(begin(port=port)) as (process, link):
            failed = await heard(link)
            assert isinstance(failed, Failed)
            assert failed.reason.startswith(f"cannot listen on 127.0.0.1 port {port}: it is taken")
            assert await code_of(process) == 1


async def test_a_fresh_process_keeps_its_signals_until_it_can_handle_them() -> None:
    """Python would print a traceback for a Ctrl-C that comes while modules are imported."""
    script = (
        "import os, signal, sys; blocked = signal.pthread_sigmask(signal.SIG_BLOCK, []); "
        "sys.exit(blocked != {signal.SIGINT, signal.SIGTERM})"
    )
    ours, theirs = socket.socketpair()
    with ours, theirs:
        # Several at once: none may leave the signals of this process blocked.
        started = [worker_module._start((sys.executable, "-c", script), theirs) for _ in range(3)]
        assert [await code_of(process) for process in await asyncio.gather(*started)] == [0, 0, 0]
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & set(worker_module.BLOCKED)
