"""A worker process, with the test as its supervisor."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from relay.metrics.snapshot import Snapshot
from relay.settings import Settings
from relay.web.health import SUPERVISOR_SILENT
from relay.workers.messages import (
    CombinedStatus,
    CombinedStatusRequest,
    Drain,
    Listening,
    Start,
    StartFailed,
    StatusRequest,
    Stop,
    WorkerStatus,
)
from relay.workers.pipe import Pipe
from tests.cli.command import ROOT
from tests.cli.forked_command import ForkedCommand
from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.free_port import free_port
from tests.harness.http_response import get
from tests.harness.websocket_client import connected

WITHIN = PATIENCE_SECONDS


@asynccontextmanager
async def worker(start: Start | None) -> AsyncIterator[tuple[ForkedCommand, Pipe]]:
    """Start a worker; killed at the end when it still runs.

    Args:
        start: its first message; None: none is sent.
    """
    ours, theirs = socket.socketpair()
    sockets_source, sockets_target = socket.socketpair()
    process = await ForkedCommand.start(
        [str(theirs.fileno())],
        {**os.environ, "PYTHONPATH": str(ROOT)},
        output=1,
        module="relay.cli.worker_process",
        kept=[theirs.fileno(), sockets_target.fileno()],
    )
    theirs.close()
    pipe = await Pipe.open(ours)
    try:
        if start is not None:
            pipe.send(replace(start, sockets_fd=sockets_target.fileno()))
        yield process, pipe
    finally:
        await pipe.close()
        sockets_source.close()
        sockets_target.close()
        if process.returncode is None:
            process.kill()
        await process.communicate()
        process.close()


async def next_message(pipe: Pipe) -> Any:
    """Return the worker's next message."""
    return await asyncio.wait_for(pipe.receive(), WITHIN)


async def code_of(process: ForkedCommand) -> int:
    """Return the exit code once it has ended."""
    return await asyncio.wait_for(process.wait(), WITHIN)


def make_start(**given: object) -> Start:
    """Return the first message to a worker on a free port."""
    fixed = {"port": free_port(), "log_format": "json", "drain_seconds": 0}
    return Start(3, Settings(**{**fixed, **given}), sockets_fd=-1)  # type: ignore[arg-type]


async def test_it_does_what_it_is_told() -> None:
    start = make_start()
    port = start.settings.port
    async with worker(start) as (process, pipe):
        listening = await next_message(pipe)
        assert isinstance(listening, Listening)
        assert listening.build["event_loop"] == "uvloop"
        pipe.send(StatusRequest())
        status = await next_message(pipe)
        assert isinstance(status, WorkerStatus)
        assert (status.problems, status.snapshot.gauges.ready) == ([], 1)

        # Operators who ask it mean all workers.
        asking = asyncio.create_task(get(port, "/readyz"))
        assert await next_message(pipe) == CombinedStatusRequest()
        pipe.send(CombinedStatus(["worker 2: it is not running"], Snapshot()))
        assert (await asking).json["reasons"] == ["worker 2: it is not running"]
        asking = asyncio.create_task(get(port, "/metrics"))
        assert await next_message(pipe) == CombinedStatusRequest()
        pipe.send(CombinedStatus([], Snapshot()))
        assert "relay_connections_accepted_total 0.0" in (await asking).text

        async with connected(f"ws://127.0.0.1:{port}/ws/a") as (client,):
            pipe.send(Drain())
            assert await client.ended() == (1001, "going away")
        # Its last message: without it this client would be counted as one whose connection broke.
        last = await next_message(pipe)
        assert isinstance(last, WorkerStatus)
        assert last.snapshot.counters.connections_closed == {1001: 1}
        assert last.snapshot.counters.connections_open == 0
        assert last.snapshot.gauges.cpu_seconds > 0
        assert await code_of(process) == 0
        assert process.stderr is not None
        assert b'"worker": 3' in await process.stderr.read()


async def test_when_the_supervisor_is_silent_nobody_can_tell() -> None:
    start = make_start()
    async with worker(start) as (_, pipe):
        assert isinstance(await next_message(pipe), Listening)
        answers = [get(start.settings.port, path) for path in ("/readyz", "/metrics", "/healthz")]
        ready, metrics, alive = await asyncio.gather(*answers)
        assert (ready.status, metrics.status, alive.status) == (503, 503, 503)
        assert ready.json["reasons"] == [SUPERVISOR_SILENT]
        assert metrics.text == f"{SUPERVISOR_SILENT}\n"


async def test_it_stops_at_once_when_told_so() -> None:
    start = make_start(drain_seconds=600)
    async with worker(start) as (process, pipe):
        await next_message(pipe)
        async with connected(f"ws://127.0.0.1:{start.settings.port}/ws/a"):
            pipe.send(Drain())
            pipe.send(Stop())
            assert await code_of(process) == 1


async def test_signals_drain_it_however_many_come() -> None:
    """A terminal's Ctrl-C reaches all processes, and the supervisor then sends them `Drain`, too."""
    start = make_start(drain_seconds=1)
    async with worker(start) as (process, pipe):
        await next_message(pipe)
        async with connected(*[f"ws://127.0.0.1:{start.settings.port}/ws/a"] * 2) as clients:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
                process.send_signal(number)
            pipe.send(Drain())
            assert [await client.ended() for client in clients] == [(1001, "going away")] * 2
        assert await code_of(process) == 0


async def test_it_does_not_outlive_its_supervisor() -> None:
    start = make_start(drain_seconds=600)
    async with worker(start) as (process, pipe):
        await next_message(pipe)
        await pipe.close()
        assert await code_of(process) == 1
    async with worker(None) as (process, pipe):
        await pipe.close()
        assert await code_of(process) == 1


async def test_it_says_why_it_can_not_start() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with worker(make_start(port=port)) as (process, pipe):
            failed = await next_message(pipe)
            assert isinstance(failed, StartFailed)
            assert failed.reason.startswith(f"cannot listen on 127.0.0.1 port {port}: it is taken")
            assert await code_of(process) == 1


async def test_it_says_that_a_setting_can_not_be_used() -> None:
    async with worker(make_start(auth="nowhere.auth.identify")) as (process, pipe):
        failed = await next_message(pipe)
        assert isinstance(failed, StartFailed)
        assert failed.final
        assert failed.reason.startswith("RELAY_AUTH: got 'nowhere.auth.identify'")
        assert await code_of(process) == 2


async def test_it_tells_its_notes_and_those_of_all() -> None:
    start = make_start(auth="jwt", jwks_url=f"http://127.0.0.1:{free_port()}/keys")
    async with worker(start) as (_, pipe):
        assert isinstance(await next_message(pipe), Listening)
        status = None
        while status is None or not status.notes:
            pipe.send(StatusRequest())
            status = await next_message(pipe)
            assert isinstance(status, WorkerStatus)
        assert status.problems == []
        assert "the keys of the tokens' issuer can't be fetched" in status.notes[0]
        asking = asyncio.create_task(get(start.settings.port, "/readyz"))
        assert await next_message(pipe) == CombinedStatusRequest()
        pipe.send(CombinedStatus([], Snapshot(), ["worker 2: a note"]))
        answer = (await asking).json
        assert (answer["ready"], answer["notes"]) == (True, ["worker 2: a note"])
