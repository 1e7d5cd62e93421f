"""A worker process of the load generator: executes the coordinator's commands, and reports."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from importlib.util import find_spec
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, Literal

import msgspec

from relay.loadtest.generator.client_group import ClientGroup
from relay.loadtest.generator.commands import (
    Assignment,
    AwaitDeliveries,
    AwaitEnded,
    Command,
    CountSent,
    FinalFaults,
    FindLost,
    PlaySchedule,
    Progress,
    Report,
    SentMessages,
    Shutdown,
    Started,
    StartMeasure,
    StartRamp,
    StopLoad,
    WorkerFailed,
)
from relay.loadtest.generator.connection_group import ConnectionGroup
from relay.loadtest.generator.pacer import Pacer
from relay.loadtest.generator.resuming_group import ResumingGroup
from relay.loadtest.generator.timer import new_timer
from relay.loadtest.result.time_histogram import TimeHistogram

COLLECT_NS: Final = 20_000_000
"""Interval at which latencies are counted: long enough to be cheap, and short enough not to be a stall of its own."""

REPORT_NS: Final = 500_000_000
POLL_SECONDS: Final = 0.1


def run_worker(commands: Connection, reports: Connection, assignment: Assignment) -> None:
    """Serve the coordinator at the other ends of two pipes until it sends `Shutdown` or exits."""
    # A terminal or a supervisor signals all processes: the coordinator alone decides what is to happen.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    sender = ReportSender(reports)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(LoadWorker(commands, sender, assignment).run())
    except Exception:  # noqa: BLE001  # the coordinator is told whatever it is
        sender.send(WorkerFailed(traceback.format_exc()))
    finally:
        sender.close()


class ReportSender:
    """Sends reports from a thread of its own: a coordinator that is busy must not hold up the clients.

    Args:
        reports: pipe to the coordinator.
    """

    def __init__(self, reports: Connection) -> None:
        self._reports = reports
        self._waiting: SimpleQueue[memoryview | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="report-sender", daemon=True)
        self._thread.start()

    def send(self, report: Report) -> None:
        """Queue a report; later changes to it are not sent."""
        self._waiting.put(ForkingPickler.dumps(report))

    def close(self) -> None:
        """Send all queued reports, and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (report := self._waiting.get()) is not None:
                self._reports.send_bytes(report)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the coordinator is gone


class LoadWorker:
    """One worker.

    Args:
        commands: pipe from the coordinator.
        sender: sends reports to it.
        assignment: what this worker is to do.
    """

    def __init__(self, commands: Connection, sender: ReportSender, assignment: Assignment) -> None:
        self._commands = commands
        self._sender = sender
        self._assignment = assignment
        self._lag = TimeHistogram()
        self._ending = False
        self._next_collect = self._next_report = 0

    async def run(self) -> None:
        """Execute commands until `Shutdown`."""
        commands: asyncio.Queue[Command] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        # A failing callback would falsify the figures: the whole run fails instead.
        loop.set_exception_handler(lambda _, context: self._sender.send(WorkerFailed(_describe(context))))
        loop.add_reader(self._commands.fileno(), self._receive, commands)
        # uvloop makes what it watches non-blocking, and a large command comes in several pieces.
        os.set_blocking(self._commands.fileno(), True)
        self._sender.send(Started())
        ramp = await commands.get()
        if not isinstance(ramp, StartRamp):
            return
        kind = ResumingGroup if self._assignment.plan.resume else ClientGroup
        group: ConnectionGroup = kind(self._assignment, ramp.epoch)
        self._group = group
        self._pacer = Pacer(group.publishers, ramp.epoch)
        self._next_collect = self._next_report = time.monotonic_ns()
        self._timer = new_timer(self._tick)
        group.ramp()
        self._tick()
        try:
            while not isinstance(command := await commands.get(), Shutdown):
                await self._execute(command)
        finally:
            self._timer.close()
            self._pacer.close()
            await group.close()

    def _receive(self, commands: asyncio.Queue[Command]) -> None:
        try:
            command: Command = self._commands.recv()
        except (EOFError, ConnectionResetError):
            asyncio.get_running_loop().remove_reader(self._commands.fileno())
            command = Shutdown()
        self._ending = isinstance(command, Shutdown)
        commands.put_nowait(command)

    async def _execute(self, command: Command) -> None:
        group = self._group
        match command:
            case PlaySchedule(schedule):
                # The clients live until the end: the garbage collector need not traverse them while they are measured.
                gc.collect()
                gc.freeze()
                gc.set_threshold(50_000, 20, 100)
                self._pacer.play(schedule)
            case StartMeasure():
                # Lag before the measured time doesn't count.
                self._lag.take()
                group.send_statistics.lag.take()
                group.start_act()
            case StopLoad(end):
                self._pacer.stop(end)
                group.stop_act()
            case CountSent():
                self._sender.send(self._count_sent())
            case AwaitDeliveries(sent, last, seconds):
                await self._await_deliveries(sent, last, seconds)
                self._sender.send(AwaitEnded())
            case FindLost(sent, records):
                group.collect()
                moment = time.monotonic_ns() - group.epoch
                self._sender.send(self._progress())
                group.count_absent()
                faults = group.checker.finish(group.receivers, sent, records, moment)
                self._sender.send(FinalFaults(faults, group.storm))
            case _:
                raise TypeError(f"no command: {command!r}")

    def _count_sent(self) -> SentMessages:
        publishers = self._group.publishers
        unsent = 0
        for publisher in publishers.values():
            unsent += len(publisher.backlog)
            publisher.backlog.clear()
        records = {number: publisher.sent_at for number, publisher in publishers.items()}
        return SentMessages(records, unsent)

    async def _await_deliveries(self, sent: dict[int, int], last: dict[int, int], seconds: float) -> None:
        end = time.monotonic() + seconds
        group = self._group
        while time.monotonic() < end and not self._ending:
            if not group.busy and not group.checker.outstanding(group.receivers, sent, last):
                return
            await asyncio.sleep(POLL_SECONDS)

    def _tick(self) -> None:
        """Count latencies, and report twice a second; the lateness of this call is the event loop's lag."""
        now = time.monotonic_ns()
        self._lag.add_one(max(0, now - self._next_collect) // 1000)
        self._group.collect()
        if now >= self._next_report:
            self._next_report = now + REPORT_NS
            self._sender.send(self._progress())
        self._next_collect = max(self._next_collect + COLLECT_NS, time.monotonic_ns())
        self._timer.set(self._next_collect)

    def _progress(self) -> Progress:
        group = self._group
        sent, backlog = 0, 0
        for publisher in group.publishers.values():
            sent += len(publisher.sent_at)
            backlog += len(publisher.backlog)
        now = time.monotonic_ns() - group.epoch
        statistics = group.send_statistics
        faults = msgspec.structs.replace(group.checker.faults, lost=group.checker.missing)
        return Progress(
            moment=now,
            cpu=time.process_time(),
            settled=not group.busy,
            ramped=group.ramped,
            connected=group.connected,
            sessions=group.sessions,
            resumed=group.resumed,
            notices=group.notices,
            sent=sent,
            backlog=backlog,
            delivered=group.recorder.delivered,
            bytes_received=group.bytes_received,
            pings=group.pings,
            faults=faults,
            sent_by_second=_take(statistics.sent),
            on_time_by_second=_take(statistics.on_time),
            delivered_by_second=_take(group.delivered_by_second),
            latencies=group.recorder.take(),
            lag=self._lag.take(),
            send_lag=statistics.lag.take(),
            handshakes=group.handshakes.take(),
            storm=group.storm_handshakes.take(),
        )


def _describe(context: dict[str, Any]) -> str:
    """Return the event loop's report of an uncaught exception, with its traceback."""
    error = context.get("exception")
    trace = "".join(traceback.format_exception(error)) if error is not None else ""
    return f"{context.get('message', '')}\n{trace}"


def _take(counter: Counter[int]) -> dict[int, int]:
    taken = dict(counter)
    counter.clear()
    return taken


def event_loop() -> Literal["uvloop", "asyncio"]:
    """Return which event loop the workers use."""
    return "uvloop" if find_spec("uvloop") else "asyncio"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if event_loop() == "asyncio":
        return None
    import uvloop

    return uvloop.new_event_loop
