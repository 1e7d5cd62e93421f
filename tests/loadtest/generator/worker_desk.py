"""A coordinator's end of a load worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import TypeVar

from relay.loadtest.generator.commands import (
    Assignment,
    AwaitEnded,
    Command,
    FinalFaults,
    Progress,
    Report,
    SentMessages,
    Started,
    WorkerFailed,
)
from relay.loadtest.generator.load_worker import LoadWorker, ReportSender
from relay.loadtest.plan.plan import Dialect, Plan
from relay.loadtest.plan.server_address import resolve
from tests.harness.conditions import PATIENCE_SECONDS, wait_until

Expected = TypeVar("Expected", Started, Progress, SentMessages, AwaitEnded, FinalFaults, WorkerFailed)


class Desk:
    """The coordinator's end: sends commands, and keeps the reports.

    Args:
        commands: pipe to the worker.
        reports: from it.
    """

    def __init__(self, commands: Connection, reports: Connection) -> None:
        self.commands = commands
        self._reports = reports
        self.kept: list[Report] = []

    def tell(self, command: Command | object) -> None:
        """Send a command."""
        self.commands.send(command)

    async def receive(self, kind: type[Expected]) -> Expected:
        """Return the next report of a type."""
        await wait_until(lambda: self._next(kind) is not None, what=f"{kind.__name__}, not {self.kept}")
        report = self._next(kind)
        assert report is not None
        self.kept = [other for other in self.kept if other is not report]
        return report

    async def progress(self, **expected: object) -> Progress:
        """Return the next progress report that says something."""
        while True:
            report = await self.receive(Progress)
            if all(getattr(report, name) == value for name, value in expected.items()):
                return report

    def _next(self, kind: type[Expected]) -> Expected | None:
        while self._reports.poll():
            self.kept.append(self._reports.recv())
        return next((report for report in self.kept if isinstance(report, kind)), None)


def assignment(url: str, **given: object) -> Assignment:
    """Return what the only worker of a plan has to be."""
    plan = Plan(urls=(url,), dialect=Dialect(), **{"clients": 3, "publishers": 1, **given})  # type: ignore[arg-type]
    return Assignment(plan, 0xAB, 0, [resolve(url)])


@asynccontextmanager
async def working(given: Assignment) -> AsyncIterator[tuple[Desk, asyncio.Task[None]]]:
    """Let a worker work in this process; it must have ended at the end."""
    commands, give = Pipe(duplex=False)
    receive, reports = Pipe(duplex=False)
    sender = ReportSender(reports)
    task = asyncio.create_task(LoadWorker(commands, sender, given).run())
    desk = Desk(give, receive)
    try:
        await desk.receive(Started)
        yield desk, task
        await asyncio.wait_for(task, PATIENCE_SECONDS)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        sender.close()
        asyncio.get_running_loop().remove_reader(commands.fileno())
        asyncio.get_running_loop().set_exception_handler(None)
        for connection in (commands, give, receive, reports):
            connection.close()
