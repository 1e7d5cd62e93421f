"""A process of the load test: takes orders, drives its crowd, and reports."""

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

from relay.loadtest.generator.client_group import Crowd
from relay.loadtest.generator.load_publisher import Schedule
from relay.loadtest.generator.messages import (
    Arrived,
    Assignment,
    Await,
    Begin,
    Count,
    End,
    Failed,
    Judge,
    Judged,
    Order,
    Play,
    Progress,
    Ramp,
    Report,
    Rest,
    Sent,
    Up,
)
from relay.loadtest.generator.timer import alarm
from relay.loadtest.result.time_histogram import Buckets

COLLECT_NS: Final = 20_000_000
"""Latencies are counted so often: rarely enough to pay, and quickly enough not to be a stall of its own."""

REPORT_NS: Final = 500_000_000
LOOK_SECONDS: Final = 0.1


def work(orders: Connection, reports: Connection, assignment: Assignment) -> None:
    """Serve the coordinator at the other ends of two pipes until it says so or goes away."""
    # The signals of a terminal or a supervisor come to all processes: the coordinator says what is to happen.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    outbox = Outbox(reports)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(Worker(orders, outbox, assignment).run())
    except Exception:
        outbox.send(Failed(traceback.format_exc()))
    finally:
        outbox.close()


class Outbox:
    """Sends reports from a thread of its own: a coordinator that is busy must not hold up the clients.

    Args:
        reports: pipe to the coordinator.
    """

    def __init__(self, reports: Connection) -> None:
        self._reports = reports
        self._waiting: SimpleQueue[memoryview | None] = SimpleQueue()
        self._thread = Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def send(self, report: Report) -> None:
        """Send a report as it is now, later."""
        self._waiting.put(ForkingPickler.dumps(report))

    def close(self) -> None:
        """Send what is waiting, and end."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while (report := self._waiting.get()) is not None:
                self._reports.send_bytes(report)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the coordinator is gone


class Worker:
    """One worker.

    Args:
        orders: from the coordinator.
        outbox: to it.
        assignment: what it is to be.
    """

    def __init__(self, orders: Connection, outbox: Outbox, assignment: Assignment) -> None:
        self._orders = orders
        self._outbox = outbox
        self._assignment = assignment
        self._lag = Buckets()
        self._ending = False
        self._next_collect = self._next_report = 0

    async def run(self) -> None:
        """Take orders until `End`."""
        orders: asyncio.Queue[Order] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        # A callback that fails would leave wrong figures behind: better none.
        loop.set_exception_handler(lambda _, context: self._outbox.send(Failed(_describe(context))))
        loop.add_reader(self._orders.fileno(), self._receive, orders)
        # uvloop makes what it watches non-blocking, and a large order comes in several pieces.
        os.set_blocking(self._orders.fileno(), True)
        self._outbox.send(Up())
        ramp = await orders.get()
        if not isinstance(ramp, Ramp):
            return
        crowd = self._crowd = Crowd(self._assignment, ramp.epoch)
        self._schedule = Schedule(crowd.publishers, ramp.epoch)
        self._next_collect = self._next_report = time.monotonic_ns()
        self._alarm = alarm(self._tick)
        crowd.ramp()
        self._tick()
        try:
            while not isinstance(order := await orders.get(), End):
                await self._obey(order)
        finally:
            self._alarm.close()
            self._schedule.close()
            await crowd.close()

    def _receive(self, orders: asyncio.Queue[Order]) -> None:
        try:
            order: Order = self._orders.recv()
        except (EOFError, ConnectionResetError):
            asyncio.get_running_loop().remove_reader(self._orders.fileno())
            order = End()
        self._ending = isinstance(order, End)
        orders.put_nowait(order)

    async def _obey(self, order: Order) -> None:
        crowd = self._crowd
        match order:
            case Play(timetable):
                # Clients live until the end: no use in looking at them again and again while they are measured.
                gc.collect()
                gc.freeze()
                gc.set_threshold(50_000, 20, 100)
                self._schedule.play(timetable)
            case Begin():
                # What came before isn't measured.
                self._lag.take()
                crowd.punctuality.lag.take()
                crowd.act()
            case Rest(end):
                self._schedule.stop(end)
                crowd.rest()
            case Count():
                self._outbox.send(self._count())
            case Await(sent, last, seconds):
                await self._await(sent, last, seconds)
                self._outbox.send(Arrived())
            case Judge(sent, records):
                crowd.collect()
                moment = time.monotonic_ns() - crowd.epoch
                self._outbox.send(self._progress())
                crowd.count_absent()
                faults = crowd.checker.judge(crowd.receivers, sent, records, moment)
                self._outbox.send(Judged(faults, crowd.storm))
            case _:
                raise TypeError(f"no order: {order!r}")

    def _count(self) -> Sent:
        publishers = self._crowd.publishers
        unsent = 0
        for publisher in publishers.values():
            unsent += len(publisher.owed)
            publisher.owed.clear()
        records = {number: publisher.record for number, publisher in publishers.items()}
        return Sent(records, unsent)

    async def _await(self, sent: dict[int, int], last: dict[int, int], seconds: float) -> None:
        end = time.monotonic() + seconds
        crowd = self._crowd
        while time.monotonic() < end and not self._ending:
            if not crowd.busy and not crowd.checker.outstanding(crowd.receivers, sent, last):
                return
            await asyncio.sleep(LOOK_SECONDS)

    def _tick(self) -> None:
        """Collect, and report now and then; the lateness of this call is the event loop's lag."""
        now = time.monotonic_ns()
        self._lag.add_one(max(0, now - self._next_collect) // 1000)
        self._crowd.collect()
        if now >= self._next_report:
            self._next_report = now + REPORT_NS
            self._outbox.send(self._progress())
        self._next_collect = max(self._next_collect + COLLECT_NS, time.monotonic_ns())
        self._alarm.set(self._next_collect)

    def _progress(self) -> Progress:
        crowd = self._crowd
        sent, owed = 0, 0
        for publisher in crowd.publishers.values():
            sent += len(publisher.record)
            owed += len(publisher.owed)
        now = time.monotonic_ns() - crowd.epoch
        punctuality = crowd.punctuality
        faults = msgspec.structs.replace(crowd.checker.faults, lost=crowd.checker.missing)
        return Progress(
            moment=now,
            cpu=time.process_time(),
            settled=not crowd.busy,
            ramped=crowd.ramped,
            connected=crowd.connected,
            sessions=crowd.sessions,
            sent=sent,
            owed=owed,
            delivered=crowd.recorder.delivered,
            bytes_received=crowd.bytes_received,
            pings=crowd.pings,
            faults=faults,
            sent_by_second=_take(punctuality.sent),
            punctual_by_second=_take(punctuality.punctual),
            delivered_by_second=_take(crowd.delivered_by_second),
            latencies=crowd.recorder.take(),
            lag=self._lag.take(),
            send_lag=punctuality.lag.take(),
            handshakes=crowd.handshakes.take(),
            storm=crowd.storm_handshakes.take(),
        )


def _describe(context: dict[str, Any]) -> str:
    """Return what the event loop says of an exception that nobody caught."""
    error = context.get("exception")
    trace = "".join(traceback.format_exception(error)) if error is not None else ""
    return f"{context.get('message', '')}\n{trace}"


def _take(counter: Counter[int]) -> dict[int, int]:
    taken = dict(counter)
    counter.clear()
    return taken


def event_loop() -> Literal["uvloop", "asyncio"]:
    """Return which event loop the workers have."""
    return "uvloop" if find_spec("uvloop") else "asyncio"


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if event_loop() == "asyncio":
        return None
    import uvloop

    return uvloop.new_event_loop
