"""A worker executes commands, reports, and ends when the coordinator is gone."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import signal
import struct
import sys
import termios
import time
from array import array
from collections.abc import AsyncIterator, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from threading import Thread

import pytest
import uvloop

from relay.loadtest.generator import load_worker as module
from relay.loadtest.generator.commands import (
    AwaitDeliveries,
    AwaitEnded,
    CountSent,
    FinalFaults,
    FindLost,
    PlaySchedule,
    Progress,
    SentMessages,
    Shutdown,
    Started,
    StartMeasure,
    StartRamp,
    StopLoad,
    WorkerFailed,
)
from relay.loadtest.generator.load_worker import ReportSender, event_loop, run_worker
from relay.loadtest.plan.plan import Act
from relay.loadtest.plan.schedule import Schedule
from tests.harness.broadcast_server import BroadcastServer
from tests.harness.conditions import wait_until, wait_until_blocking
from tests.loadtest.generator.worker_desk import assignment, working


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Have reports often, and set back what a worker sets in its process."""
    monkeypatch.setattr(module, "REPORT_NS", 100_000_000)
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


@pytest.fixture
async def server() -> AsyncIterator[BroadcastServer]:
    """An honest server."""
    async with BroadcastServer() as server:
        yield server


async def test_a_whole_run_executes_all_commands(server: BroadcastServer) -> None:
    async with working(assignment(server.url)) as (desk, _):
        desk.tell(StartRamp(time.monotonic_ns()))
        ramped = await desk.progress(settled=True)
        assert (ramped.connected, ramped.sessions, ramped.delivered) == (4, 4, 0)
        assert ramped.ramped > 0
        desk.tell(PlaySchedule(Schedule(0, 1e4, 0.01, 1)))
        desk.tell(StartMeasure())
        played = await desk.progress(delivered=300)
        assert (played.sent, played.backlog) == (100, 0)
        assert played.bytes_received > 300 * 128
        desk.tell(StopLoad(0))
        desk.tell(CountSent())
        sent = await desk.receive(SentMessages)
        assert ({number: len(sent_at) for number, sent_at in sent.records.items()}, sent.unsent) == ({0: 100}, 0)
        desk.tell(AwaitDeliveries({0: 100}, {0: sent.records[0][-1]}, 5.0))
        await desk.receive(AwaitEnded)
        desk.tell(FindLost({0: 100}, {}))
        judged = await desk.receive(FinalFaults)
        assert (judged.faults.any, judged.faults.missed, judged.storm) == (False, 0, None)
        desk.tell(Shutdown())
    await wait_until(lambda: not server.sessions)


async def test_reports_come_regularly_and_say_what_is_new(server: BroadcastServer) -> None:
    async with working(assignment(server.url)) as (desk, _):
        desk.tell(StartRamp(time.monotonic_ns()))
        first, second, third = [await desk.receive(Progress) for _ in range(3)]
        assert 0.09e9 < third.moment - second.moment < 1e9
        assert first.moment < second.moment < third.moment
        assert first.cpu <= second.cpu <= third.cpu
        assert sum(report.handshakes[1].sum() for report in (first, second, third)) == 4
        # About 50 looks a second.
        assert 1 <= third.lag[1].sum() <= 10
        desk.tell(Shutdown())


async def test_what_is_missing_now_is_lost_in_reports_and_in_the_judgement(server: BroadcastServer) -> None:
    server.pass_on = lambda *_: None  # type: ignore[method-assign]
    async with working(assignment(server.url)) as (desk, _):
        desk.tell(StartRamp(time.monotonic_ns()))
        await desk.progress(settled=True)
        desk.tell(PlaySchedule(Schedule(0, 1e4, 0.001, 1)))
        await desk.progress(sent=10)
        desk.tell(AwaitDeliveries({0: 10}, {0: 0}, 0.2))
        await desk.receive(AwaitEnded)
        desk.tell(FindLost({0: 10}, {0: array("q", range(10))}))
        assert (await desk.receive(FinalFaults)).faults.lost == 30
        desk.tell(Shutdown())


async def test_what_the_server_does_not_take_is_unsent() -> None:
    async with BroadcastServer() as server, working(assignment(server.url, clients=0)) as (desk, _):
        desk.tell(StartRamp(time.monotonic_ns()))
        await desk.progress(settled=True)
        await server.die()
        await desk.progress(connected=0)
        desk.tell(PlaySchedule(Schedule(0, 1e4, 0.001, 1)))
        await desk.progress(backlog=10)
        desk.tell(CountSent())
        sent = await desk.receive(SentMessages)
        assert ({0: len(sent.records[0])}, sent.unsent) == ({0: 0}, 10)
        await desk.progress(backlog=0)
        desk.tell(Shutdown())


async def test_a_wait_for_what_may_never_come_ends_with_the_command_to(server: BroadcastServer) -> None:
    async with working(assignment(server.url)) as (desk, task):
        desk.tell(StartRamp(time.monotonic_ns()))
        await desk.progress(settled=True)
        desk.tell(AwaitDeliveries({0: 10}, {0: 0}, 3600.0))
        desk.tell(Shutdown())
        await wait_until(task.done)


async def test_a_storm_is_told_in_the_judgement(server: BroadcastServer) -> None:
    async with working(assignment(server.url, act=Act.STORM)) as (desk, _):
        desk.tell(StartRamp(time.monotonic_ns()))
        await desk.progress(settled=True)
        desk.tell(StartMeasure())
        stormed = await desk.progress(sessions=7, settled=True)
        assert stormed.storm[1].sum() == 3
        desk.tell(FindLost({0: 0}, {0: array("q")}))
        storm = (await desk.receive(FinalFaults)).storm
        assert storm is not None
        assert min(storm) > 0
        desk.tell(Shutdown())


async def test_who_is_told_to_end_at_once_does(server: BroadcastServer) -> None:
    async with working(assignment(server.url)) as (desk, task):
        desk.tell(Shutdown())
        await wait_until(task.done)
    assert server.accepted == 0


async def test_a_coordinator_that_is_gone_ends_the_worker_and_its_connections(server: BroadcastServer) -> None:
    async with working(assignment(server.url)) as (desk, task):
        desk.tell(StartRamp(time.monotonic_ns()))
        await desk.progress(settled=True)
        desk.commands.close()
        await wait_until(task.done)
    await wait_until(lambda: not server.sessions)


def waiting_bytes(pipe: Connection) -> int:
    """Return how many bytes are in a pipe that its reader has not taken."""
    return int.from_bytes(fcntl.ioctl(pipe.fileno(), termios.FIONREAD, bytes(4)), sys.byteorder)


def test_a_command_that_comes_in_pieces_is_taken_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records of a long run are larger than a pipe holds; and uvloop makes what it watches non-blocking."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process wants to be interrupted
    monkeypatch.setattr(module, "_loop_factory", lambda: uvloop.new_event_loop)
    commands, give = Pipe(duplex=False)
    receive, reports = Pipe(duplex=False)
    given = assignment("ws://127.0.0.1:1")
    worker = Thread(target=run_worker, args=(commands, reports, given), daemon=True)
    with give, receive, commands, reports:
        worker.start()
        assert isinstance(receive.recv(), Started)
        give.send(StartRamp(time.monotonic_ns()))
        command = ForkingPickler.dumps(FindLost({0: 0}, {0: array("q", range(100))}))
        os.write(give.fileno(), struct.pack("!i", len(command)))
        # Each time it has taken a piece, it waits for the next one; were that a mistake, it would fail.
        for place in range(0, len(command), len(command) // 20):
            wait_until_blocking(lambda: waiting_bytes(give) == 0)
            os.write(give.fileno(), command[place : place + len(command) // 20])
        while isinstance(report := receive.recv(), Progress):
            pass
        assert isinstance(report, FinalFaults), report
        give.send(Shutdown())
        worker.join()


async def test_something_else_than_a_command_is_a_mistake(server: BroadcastServer) -> None:
    async def run() -> None:
        async with working(assignment(server.url)) as (desk, _):
            desk.tell(StartRamp(time.monotonic_ns()))
            desk.tell("nonsense")

    with pytest.raises(TypeError, match="no command: 'nonsense'"):
        await run()


async def test_an_error_in_a_callback_is_reported_not_swallowed(server: BroadcastServer) -> None:
    """Wrong figures would be worse than none."""
    async with working(assignment(server.url)) as (desk, _):
        loop = asyncio.get_running_loop()
        loop.call_soon(lambda: 1 // 0)
        failed = await desk.receive(WorkerFailed)
        assert "ZeroDivisionError" in failed.text
        loop.call_exception_handler({"message": "something happened"})
        assert "something happened" in (await desk.receive(WorkerFailed)).text
        desk.tell(Shutdown())


def test_what_a_worker_dies_of_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # this process wants to be interrupted
    commands, give = Pipe(duplex=False)
    receive, reports = Pipe(duplex=False)
    given = assignment("ws://127.0.0.1:1")
    with give, receive, commands, reports:
        give.send(StartRamp(time.monotonic_ns()))
        give.send("nonsense")
        run_worker(commands, reports, given)
        assert isinstance(receive.recv(), Started)
        while isinstance(report := receive.recv(), Progress):
            pass
        assert isinstance(report, WorkerFailed)
        assert "TypeError: no command: 'nonsense'" in report.text


def test_an_outbox_without_a_reader_ends() -> None:
    receive, reports = Pipe(duplex=False)
    receive.close()
    sender = ReportSender(reports)
    sender.send(Started())
    sender.send(Started())
    sender.close()
    reports.close()


@pytest.mark.parametrize(("found", "expected"), [(True, "uvloop"), (False, "asyncio")])
def test_uvloop_is_taken_when_it_is_there(monkeypatch: pytest.MonkeyPatch, found: bool, expected: str) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _name: found or None)
    assert event_loop() == expected
    factory = module._loop_factory()
    assert (factory is None) == (expected == "asyncio")
    if factory is not None:
        loop = factory()
        assert type(loop).__module__.startswith("uvloop")
        loop.close()
