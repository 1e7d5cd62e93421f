"""Worker processes start, answer, and end; when one fails, the run does, and nobody is left."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from relay.loadtest.generator.commands import (
    Assignment,
    AwaitDeliveries,
    AwaitEnded,
    CountSent,
    Progress,
    SentMessages,
    Started,
    StartRamp,
    StopLoad,
)
from relay.loadtest.plan.plan import Dialect, Plan
from relay.loadtest.plan.server_address import resolve
from relay.loadtest.run import worker_pool as module
from relay.loadtest.run.worker_pool import LoadWorkerError, WorkerPool
from tests.harness.broadcast_server import BroadcastServer
from tests.harness.conditions import wait_until
from tests.harness.worker_thread import WorkerThread, worker_threads


def assignments(url: str, workers: int) -> list[Assignment]:
    """Return what each worker is to be."""
    plan = Plan(urls=(url,), dialect=Dialect(), clients=4, publishers=workers, workers=workers)
    return [Assignment(plan, 0xAB, worker, [resolve(url)]) for worker in range(workers)]


class Reports:
    """Keeps the latest progress of each worker."""

    def __init__(self) -> None:
        self.latest: dict[int, Progress] = {}

    def __call__(self, worker: int, progress: Progress) -> None:
        self.latest[worker] = progress

    @property
    def connected(self) -> int:
        """Clients that are subscribed."""
        return sum(progress.connected for progress in self.latest.values())


def children() -> list[psutil.Process]:
    """Return the worker processes of this process."""
    return [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


async def test_processes_work_and_have_ended_at_the_end() -> None:
    reports = Reports()
    async with BroadcastServer() as server:
        async with WorkerPool(assignments(server.url, 2), reports) as pool:
            assert sorted(child.pid for child in children()) == sorted(pool.pids)
            pool.tell(StartRamp(time.monotonic_ns()))
            await wait_until(lambda: reports.connected == 6)
            sent = await pool.ask(CountSent(), SentMessages)
            assert [list(report.records) for report in sent] == [[0], [1]]
            assert len({os.getpid(), *pool.pids}) == 3
        await wait_until(lambda: not server.sessions)
    assert (children(), pool.pids) == ([], [])


async def test_a_killed_process_ends_the_run_and_the_others() -> None:
    reports = Reports()

    async def run(url: str) -> None:
        async with WorkerPool(assignments(url, 2), reports) as pool:
            pool.tell(StartRamp(time.monotonic_ns()))
            await wait_until(lambda: reports.connected == 6)
            os.kill(pool.pids[1], signal.SIGKILL)
            await pool.sleep(30.0)

    async with BroadcastServer() as server:
        with pytest.raises(LoadWorkerError, match="worker 1 of the load test failed: it has ended") as caught:
            await run(server.url)
        assert caught.value.worker == 1
        await wait_until(lambda: not server.sessions)
    assert children() == []


@pytest.fixture
def _threads() -> Iterator[None]:
    with worker_threads():
        yield


threads = pytest.mark.usefixtures("_threads")


@threads
async def test_sleeping_is_waiting() -> None:
    async with WorkerPool(assignments("ws://127.0.0.1:1", 1), Reports()) as pool:
        begun = time.monotonic()
        await pool.sleep(0.05)
        assert time.monotonic() - begun >= 0.05
        await pool.sleep(-1.0)


@threads
async def test_a_worker_that_makes_a_mistake_fails_the_run_with_its_traceback() -> None:
    async def run() -> None:
        async with WorkerPool(assignments("ws://127.0.0.1:1", 1), Reports()) as pool:
            pool.tell(StartRamp(time.monotonic_ns()))
            pool.tell("nonsense")  # type: ignore[arg-type]
            await pool.ask(CountSent(), SentMessages)

    with pytest.raises(
        LoadWorkerError, match=r"(?s)worker 0 of the load test failed: .*TypeError: no command: 'nonsense'"
    ):
        await run()


@threads
async def test_who_tells_a_worker_something_that_has_ended_learns_it() -> None:
    async def run() -> None:
        async with WorkerPool(assignments("ws://127.0.0.1:1", 1), Reports()) as pool:
            pool.tell(StopLoad(0))  # no command to begin with: it ends
            (process,) = pool._processes
            await wait_until(lambda: not process.is_alive())
            pool.tell(StartRamp(0))
            await pool.ask(CountSent(), SentMessages)

    with pytest.raises(LoadWorkerError, match="it has ended"):
        await run()


@threads
async def test_an_answer_to_something_else_is_a_mistake() -> None:
    async def run() -> None:
        async with WorkerPool(assignments("ws://127.0.0.1:1", 1), Reports()) as pool:
            pool.tell(StartRamp(time.monotonic_ns()))
            await pool.ask(CountSent(), AwaitEnded)

    with pytest.raises(TypeError, match="AwaitEnded expected, SentMessages"):
        await run()


@threads
async def test_a_worker_that_does_not_start_ends_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "START_SECONDS", 0.1)
    monkeypatch.setattr(module, "END_SECONDS", 0.1)
    ended = threading.Event()
    monkeypatch.setattr(module, "run_worker", lambda *_: ended.wait())
    monkeypatch.setattr(WorkerThread, "kill", lambda _: ended.set())
    with pytest.raises(LoadWorkerError, match=r"worker 0 of the load test failed: it did not start within 0.1 s"):
        async with WorkerPool(assignments("ws://127.0.0.1:1", 1), Reports()):
            pass


@threads
async def test_a_worker_that_ends_while_it_starts_fails_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_worker", lambda *_: None)
    with pytest.raises(LoadWorkerError, match="worker 0 of the load test failed: it has ended"):
        async with WorkerPool(assignments("ws://127.0.0.1:1", 1), Reports()):
            pass


@threads
async def test_a_worker_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "END_SECONDS", 0.1)
    killed = threading.Event()

    def stubborn(commands: object, reports: object, _: object) -> None:
        reports.send(Started())  # type: ignore[attr-defined]
        killed.wait()

    monkeypatch.setattr(module, "run_worker", stubborn)
    async with WorkerPool(assignments("ws://127.0.0.1:1", 1), Reports()) as pool:
        (process,) = pool._processes
        monkeypatch.setattr(process, "kill", killed.set)
    assert killed.is_set()


@threads
async def test_a_run_that_is_cancelled_ends_its_workers() -> None:
    async with BroadcastServer() as server:
        reports = Reports()

        async def run() -> None:
            async with WorkerPool(assignments(server.url, 1), reports) as pool:
                pool.tell(StartRamp(time.monotonic_ns()))
                await pool.ask(AwaitDeliveries({0: 5}, {0: 5}, 60.0), AwaitEnded)

        task = asyncio.create_task(run())
        await wait_until(lambda: reports.connected == 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await wait_until(lambda: not server.sessions)
