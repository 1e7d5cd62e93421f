"""The worker processes: started together, told what to do, listened to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from relay.errors import RelayError
from relay.loadtest.generator.load_worker import work
from relay.loadtest.generator.messages import Assignment, End, Failed, Order, Progress, Report, Up

START_SECONDS: Final = 60.0
END_SECONDS: Final = 10.0

Answer = TypeVar("Answer")


class WorkerError(RelayError):
    """A process of the load test itself has ended or failed.

    Args:
        worker: its number.
        problem: what happened; a traceback if there is one.
    """

    def __init__(self, worker: int, problem: str) -> None:
        super().__init__(worker, problem)
        self.worker = worker
        self.problem = problem

    def __str__(self) -> str:
        return f"worker {self.worker} of the load test failed: {self.problem}"


class Pool:
    """All workers of a run. An asynchronous context manager: at its end all processes have ended.

    Args:
        assignments: one for each worker.
        progress: called with the number of a worker and each of its progress reports.
    """

    def __init__(self, assignments: list[Assignment], progress: Callable[[int, Progress], None]) -> None:
        self._assignments = assignments
        self._progress = progress
        self._orders: list[Connection] = []
        self._reports: list[Connection] = []
        self._processes: list[SpawnProcess] = []
        self._answers: list[asyncio.Queue[Report]] = []
        self._failure: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Self:
        """Start all processes.

        Raises:
            WorkerError: one did not start.
        """
        self._failure = asyncio.get_running_loop().create_future()
        # Spawned, not forked: a fork would inherit the event loop.
        context = get_context("spawn")
        for number, assignment in enumerate(self._assignments):
            orders, give = context.Pipe(duplex=False)
            hear, reports = context.Pipe(duplex=False)
            arguments = (orders, reports, assignment)
            process = context.Process(target=work, args=arguments, name=f"loadtest-{number}", daemon=True)
            process.start()
            orders.close()
            reports.close()
            self._processes.append(process)
            self._orders.append(give)
            self._reports.append(hear)
            self._answers.append(asyncio.Queue())
            asyncio.get_running_loop().add_reader(hear.fileno(), self._receive, number)
        try:
            await asyncio.wait_for(self._gather(Up), START_SECONDS)
        except BaseException as error:
            await self.close()
            if isinstance(error, TimeoutError):
                late = next(number for number, up in enumerate(self._answers) if up.empty())
                raise WorkerError(late, f"it did not start within {START_SECONDS:g} s") from None
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

    def tell(self, order: Order) -> None:
        """Give all workers an order."""
        for number, connection in enumerate(self._orders):
            try:
                connection.send(order)
            except (BrokenPipeError, ConnectionResetError):
                self._fail(WorkerError(number, "it has ended"))

    async def ask(self, order: Order, kind: type[Answer]) -> list[Answer]:
        """Give all workers an order and return their answers.

        Raises:
            WorkerError: one has failed.
        """
        self.tell(order)
        return await self._gather(kind)

    async def sleep(self, seconds: float) -> None:
        """Wait, unless a worker fails.

        Raises:
            WorkerError: one has failed.
        """
        assert self._failure is not None
        await asyncio.wait([self._failure], timeout=max(0.0, seconds))
        if self._failure.done():
            self._failure.result()

    async def close(self) -> None:
        """End all processes; those that don't are killed."""
        loop = asyncio.get_running_loop()
        self.tell(End())
        for orders, reports, process in zip(self._orders, self._reports, self._processes, strict=True):
            await loop.run_in_executor(None, process.join, END_SECONDS)
            if process.is_alive():
                process.kill()
                await loop.run_in_executor(None, process.join)
            loop.remove_reader(reports.fileno())
            orders.close()
            reports.close()
            process.close()
        self._orders, self._reports, self._processes = [], [], []
        if self._failure is not None and self._failure.done():
            self._failure.exception()  # seen

    async def _gather(self, kind: type[Answer]) -> list[Answer]:
        assert self._failure is not None
        answers: list[Answer] = []
        for queue in self._answers:
            answer = asyncio.ensure_future(queue.get())
            waiting: list[asyncio.Future[Any]] = [answer, self._failure]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                answer.cancel()
                self._failure.result()
            report = answer.result()
            if not isinstance(report, kind):
                raise TypeError(f"{kind.__name__} expected, {report!r} came")
            answers.append(report)
        return answers

    def _receive(self, number: int) -> None:
        connection = self._reports[number]
        try:
            report: Report = connection.recv()
        except (EOFError, ConnectionResetError):
            asyncio.get_running_loop().remove_reader(connection.fileno())
            self._fail(WorkerError(number, "it has ended"))
            return
        match report:
            case Progress():
                self._progress(number, report)
            case Failed(text):
                self._fail(WorkerError(number, text))
            case _:
                self._answers[number].put_nowait(report)

    def _fail(self, error: WorkerError) -> None:
        if self._failure is not None and not self._failure.done():
            self._failure.set_exception(error)
