"""The pool of worker processes: starts them, sends them commands, and receives their reports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from relay.errors import RelayError
from relay.loadtest.generator.commands import Assignment, Command, Progress, Report, Shutdown, Started, WorkerFailed
from relay.loadtest.generator.load_worker import run_worker

START_SECONDS: Final = 60.0
END_SECONDS: Final = 10.0

Reply = TypeVar("Reply")


class LoadWorkerError(RelayError):
    """A worker process of the load test has exited or failed.

    Args:
        worker: number of the worker.
        problem: what happened, with a traceback if there is one.
    """

    def __init__(self, worker: int, problem: str) -> None:
        super().__init__(worker, problem)
        self.worker = worker
        self.problem = problem

    def __str__(self) -> str:
        return f"worker {self.worker} of the load test failed: {self.problem}"


class WorkerPool:
    """The workers of a run. An asynchronous context manager: on exit all processes have ended.

    Args:
        assignments: one for each worker.
        progress: called with each progress report and the number of its worker.
    """

    def __init__(self, assignments: list[Assignment], progress: Callable[[int, Progress], None]) -> None:
        self._assignments = assignments
        self._progress = progress
        self._commands: list[Connection] = []
        self._reports: list[Connection] = []
        self._processes: list[SpawnProcess] = []
        self._replies: list[asyncio.Queue[Report]] = []
        self._failure: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        """Start all processes.

        Raises:
            LoadWorkerError: a worker did not start.
        """
        self._failure = asyncio.get_running_loop().create_future()
        # Spawned, not forked: a fork would inherit the event loop.
        context = get_context("spawn")
        for number, assignment in enumerate(self._assignments):
            their_commands, our_commands = context.Pipe(duplex=False)
            our_reports, their_reports = context.Pipe(duplex=False)
            arguments = (their_commands, their_reports, assignment)
            process = context.Process(target=run_worker, args=arguments, name=f"loadtest-{number}", daemon=True)
            process.start()
            their_commands.close()
            their_reports.close()
            self._processes.append(process)
            self._commands.append(our_commands)
            self._reports.append(our_reports)
            self._replies.append(asyncio.Queue())
            asyncio.get_running_loop().add_reader(our_reports.fileno(), self._receive, number)
        try:
            await asyncio.wait_for(self._gather(Started), START_SECONDS)
        except BaseException as error:
            await self.close()
            if isinstance(error, TimeoutError):
                late = next(number for number, replies in enumerate(self._replies) if replies.empty())
                raise LoadWorkerError(late, f"it did not start within {START_SECONDS:g} s") from None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers."""
        return [process.pid or 0 for process in self._processes]

    def tell(self, command: Command) -> None:
        """Send a command to all workers."""
        for number, connection in enumerate(self._commands):
            try:
                connection.send(command)
            except (BrokenPipeError, ConnectionResetError):
                self._fail(LoadWorkerError(number, "it has ended"))

    async def ask(self, command: Command, kind: type[Reply]) -> list[Reply]:
        """Send a command to all workers and return their replies.

        Raises:
            LoadWorkerError: a worker has failed.
        """
        self.tell(command)
        return await self._gather(kind)

    async def sleep(self, seconds: float) -> None:
        """Wait; return early by an error when a worker fails.

        Raises:
            LoadWorkerError: a worker has failed.
        """
        assert self._failure is not None
        await asyncio.wait([self._failure], timeout=max(0.0, seconds))
        if self._failure.done():
            self._failure.result()

    async def close(self) -> None:
        """Have all processes exit; kill those that don't."""
        loop = asyncio.get_running_loop()
        self.tell(Shutdown())
        for commands, reports, process in zip(self._commands, self._reports, self._processes, strict=True):
            await loop.run_in_executor(None, process.join, END_SECONDS)
            if process.is_alive():
                process.kill()
                await loop.run_in_executor(None, process.join)
            loop.remove_reader(reports.fileno())
            commands.close()
            reports.close()
            process.close()
        self._commands, self._reports, self._processes = [], [], []
        if self._failure is not None and self._failure.done():
            self._failure.exception()  # marks it as retrieved

    async def _gather(self, kind: type[Reply]) -> list[Reply]:
        assert self._failure is not None
        replies: list[Reply] = []
        for queue in self._replies:
            reply = asyncio.ensure_future(queue.get())
            waiting: list[asyncio.Future[Any]] = [reply, self._failure]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not reply.done():
                reply.cancel()
                self._failure.result()
            report = reply.result()
            if not isinstance(report, kind):
                raise TypeError(f"{kind.__name__} expected, {report!r} came")
            replies.append(report)
        return replies

    def _receive(self, number: int) -> None:
        connection = self._reports[number]
        try:
            report: Report = connection.recv()
        except (EOFError, ConnectionResetError):
            asyncio.get_running_loop().remove_reader(connection.fileno())
            self._fail(LoadWorkerError(number, "it has ended"))
            return
        match report:
            case Progress():
                self._progress(number, report)
            case WorkerFailed(text):
                self._fail(LoadWorkerError(number, text))
            case _:
                self._replies[number].put_nowait(report)

    def _fail(self, error: LoadWorkerError) -> None:
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)
