"""The supervisor with real processes, inside the test's own event loop."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from relay.cli.supervisor_process import COMMAND
from relay.settings import Settings
from relay.workers import monitor as survey_module
from relay.workers import supervisor as supervisor_module
from relay.workers import watchdog as watch_module
from relay.workers.messages import Whole
from relay.workers.supervisor import Supervisor, WorkerFailed
from relay.workers.worker import Ending
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.free_port import free_port
from tests.harness.http_response import get
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected

WITHIN = PATIENCE_SECONDS


def is_there(pid: int) -> bool:
    """Tell whether a process exists."""
    return Path(f"/proc/{pid}").exists()


class Running:
    """A supervisor at work."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.stop, self.end = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(supervisor.run(self.stop, self.end))

    async def whole(self) -> Whole:
        """Ask all workers."""
        return await self.supervisor._survey.whole()

    async def ready(self) -> bool:
        """Tell whether all are ready."""
        if self.task.done():
            self.task.result()
        return bool(self.supervisor._workers) and not (await self.whole()).problems

    def pid(self, number: int) -> int:
        """Return the process id of a worker."""
        process = self.supervisor._workers[number - 1]._process
        assert process is not None
        return process.pid


@asynccontextmanager
async def running(settings: Settings, count: int = 2, command: Sequence[str] = COMMAND) -> AsyncIterator[Running]:
    """Run a supervisor until all workers are ready; drained at the end."""
    run = Running(Supervisor(settings, count, command))
    try:
        await wait_until(run.ready, WITHIN, "all workers are ready")
        yield run
        run.stop.set()
        await asyncio.wait_for(run.task, WITHIN)
    finally:
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)


def settings_for(redis_server: RedisServer, prefix: str, **given: object) -> Settings:
    """Return settings of a gateway with workers."""
    fixed = {"broker_url": redis_server.url, "broker_prefix": prefix, "port": free_port(), "drain_seconds": 0}
    return Settings(workers=2, log_level="warning", **{**fixed, **given})  # type: ignore[arg-type]


@pytest.fixture
def quick_survey(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask workers ten times a second."""
    monkeypatch.setattr(survey_module, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(survey_module, "SURVEY_SECONDS", 0.1)


@pytest.mark.usefixtures("quick_survey")
async def test_a_worker_that_pauses_is_seen_and_goes_on(redis_server: RedisServer, prefix: str) -> None:
    """Within its timeout nothing is lost."""
    async with running(settings_for(redis_server, prefix, worker_timeout=3600)) as run:
        os.kill(run.pid(1), signal.SIGSTOP)

        async def only_it_is_silent() -> bool:
            whole = await run.whole()
            return (whole.problems, whole.snapshot.gauges.silent_processes) == (["worker 1: it does not answer"], 1)

        await wait_until(only_it_is_silent, WITHIN)
        os.kill(run.pid(1), signal.SIGCONT)
        await wait_until(run.ready, WITHIN)
        assert (await run.whole()).snapshot.counters.worker_restarts == 0


# What a worker may hang in: it is stopped, or computes for ever.
HANGS_AT_SIGUSR1 = """
import signal, sys
def compute(*_):
    while True:
        pass
signal.signal(signal.SIGUSR1, compute)
from relay.cli.worker_process import main
sys.exit(main())
"""


@pytest.mark.usefixtures("quick_survey")
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGUSR1])
async def test_a_worker_that_hangs_is_replaced(
    redis_server: RedisServer, prefix: str, number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    command = (sys.executable, "-P", "-c", HANGS_AT_SIGUSR1)
    settings = settings_for(redis_server, prefix, worker_timeout=1)
    async with running(settings, command=command) as run:
        hung, other = run.pid(1), run.pid(2)
        os.kill(hung, number)
        await wait_until(lambda: not is_there(hung), WITHIN, "the hung worker is killed")
        await wait_until(run.ready, WITHIN)
        assert run.pid(2) == other
        assert (await run.whole()).snapshot.counters.worker_restarts == 1
    assert "killing a worker that does not answer worker=1" in caplog.text


@pytest.mark.usefixtures("quick_survey")
@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
async def test_a_worker_that_hangs_keeps_no_client_waiting(
    redis_server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch, event_loop: str
) -> None:
    """Those that wait for it are reset as after a crash, new ones come to the others; when it goes on, to all again."""
    monkeypatch.setattr(watch_module, "SUSPECT_SECONDS", 0.2)
    settings = settings_for(redis_server, prefix, worker_timeout=3600, event_loop=event_loop)
    async with running(settings) as run:
        worker = run.supervisor._workers[0]
        os.kill(run.pid(1), signal.SIGSTOP)
        # Without an await between: the supervisor, which runs in the same event loop, must not have noticed yet.
        early = [socket.create_connection(("127.0.0.1", settings.port)) for _ in range(40)]
        outcomes = await asyncio.wait_for(asyncio.gather(*map(answered_over, early)), WITHIN)
        # By the kernel's hash: the chance of none is one in a million millions.
        assert set(outcomes) == {True, False}
        assert not worker.accepting
        assert await asyncio.gather(*[answered(settings.port) for _ in range(40)]) == [True] * 40
        run.supervisor._watch._suspect_seconds = 3600.0  # from here on slowness is not what is tested
        os.kill(run.pid(1), signal.SIGCONT)
        await wait_until(lambda: worker.accepting, WITHIN, "it listens again")
        async with connected(*[f"ws://127.0.0.1:{settings.port}/ws/a"] * 40):
            await wait_until(lambda: has_clients(run, 1), WITHIN)
            assert await has_clients(run, 2)


async def answered(port: int) -> bool:
    """Ask whether a gateway is alive; return False when the connection is reset."""
    try:
        return (await get(port, "/healthz", WITHIN)).status == 200
    except (ConnectionError, asyncio.IncompleteReadError):
        return False


async def answered_over(connection: socket.socket) -> bool:
    """Do what `answered` does, over a connection that was made before."""
    try:
        reader, writer = await asyncio.open_connection(sock=connection)
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        writer.close()
    except ConnectionError:
        return False
    return answer.startswith(b"HTTP/1.1 200 ")


async def has_clients(run: Running, number: int) -> bool:
    """Return whether a worker has clients."""
    await run.whole()
    state = run.supervisor._workers[number - 1].state
    return state is not None and state.snapshot.counters.connections_open > 0


@pytest.mark.usefixtures("quick_survey")
async def test_the_last_worker_that_accepts_goes_on_listening(
    redis_server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With none to go to, clients had better wait than be refused."""
    monkeypatch.setattr(watch_module, "SUSPECT_SECONDS", 0.2)
    settings = settings_for(redis_server, prefix, worker_timeout=3600)
    async with running(settings) as run:
        workers = run.supervisor._workers
        for number in (1, 2):
            os.kill(run.pid(number), signal.SIGSTOP)
        await wait_until(lambda: all(worker.silent_seconds > 0.5 for worker in workers), WITHIN)
        assert sorted(worker.accepting for worker in workers) == [False, True]
        run.supervisor._watch._suspect_seconds = 3600.0
        waiting = [asyncio.create_task(answered(settings.port)) for _ in range(10)]
        for number in (1, 2):
            os.kill(run.pid(number), signal.SIGCONT)
        assert await asyncio.gather(*waiting) == [True] * 10


async def test_a_process_that_can_not_be_made_is_tried_again_and_the_others_go_on(
    redis_server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with running(settings_for(redis_server, prefix)) as run:
        first, second = run.pid(1), run.pid(2)
        place = run.supervisor._workers[0]
        with monkeypatch.context() as patch:
            patch.setattr(place, "_command", ["/nowhere/at/all"])
            os.kill(first, signal.SIGKILL)
            await wait_until(lambda: "why=cannot start a process: No such file" in caplog.text, WITHIN)
        await wait_until(run.ready, WITHIN)
        assert run.pid(1) != first
        assert run.pid(2) == second


async def test_a_mistake_in_a_survey_is_logged_and_not_the_end(
    redis_server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(survey_module, "SURVEY_SECONDS", 0.05)
    settings = settings_for(redis_server, prefix)
    async with running(settings) as run:
        with monkeypatch.context() as patch:
            patch.setattr(survey_module, "make_whole", lambda *_: 1 / 0)
            # Also for whoever asks a worker, whichever that is.
            asking = [asyncio.create_task(get(settings.port, "/readyz", WITHIN)) for _ in range(10)]
            await wait_until(lambda: "survey failed" in caplog.text, WITHIN)
        await asyncio.gather(*asking)
        await wait_until(run.ready, WITHIN)
        for _ in range(10):
            assert (await get(settings.port, "/readyz")).status == 200


async def test_workers_that_do_not_drain_in_time_are_ended(
    redis_server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One that hangs is killed; the answer says that not all went well."""
    monkeypatch.setattr(supervisor_module, "GRACE_SECONDS", -10.0)
    monkeypatch.setattr(supervisor_module, "LAST_RESORT_SECONDS", 0.5)
    settings = settings_for(redis_server, prefix, publish_timeout=0, worker_timeout=3600)
    async with running(settings) as run:
        os.kill(run.pid(2), signal.SIGSTOP)
        run.stop.set()
        assert await asyncio.wait_for(run.task, WITHIN) is False
    assert "ending workers that did not drain in time" in caplog.text
    assert "worker ended worker=2 why=ended by SIGKILL" in caplog.text


async def test_told_to_end_at_once_nobody_waits(redis_server: RedisServer, prefix: str) -> None:
    settings = settings_for(redis_server, prefix, drain_seconds=600)
    async with running(settings) as run, connected(*[f"ws://127.0.0.1:{settings.port}/ws/a"] * 4):
        run.stop.set()
        run.end.set()
        assert await asyncio.wait_for(run.task, WITHIN) is False


async def test_when_it_is_cancelled_no_process_is_left(redis_server: RedisServer, prefix: str) -> None:
    async with running(settings_for(redis_server, prefix, metrics_port=free_port())) as run:
        pids = [run.pid(1), run.pid(2)]
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)
        assert not any(is_there(pid) for pid in pids)
        assert run.task.cancelled()
        run.task = asyncio.create_task(asyncio.sleep(0))  # type: ignore[arg-type]


def starts_badly(script: str, monkeypatch: pytest.MonkeyPatch) -> Running:
    """Run two workers that are a script."""
    monkeypatch.setattr(supervisor_module, "PAUSE_SECONDS", 0.05)
    settings = Settings(workers=2, port=0, broker_url="redis://127.0.0.1:1")
    return Running(Supervisor(settings, 2, (sys.executable, "-S", "-c", script)))


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("import sys; sys.exit(7)", 7, "ended with exit code 7"),
        ("import os; os.kill(os.getpid(), 9)", -9, "ended by SIGKILL"),
    ],
)
async def test_a_worker_that_never_starts_ends_the_command(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, script: str, code: int, words: str
) -> None:
    run = starts_badly(script, monkeypatch)
    with pytest.raises(WorkerFailed) as caught:
        await asyncio.wait_for(run.task, WITHIN)
    assert caught.value.ending.code == code
    assert str(caught.value) == f"worker {caught.value.worker} did not start, 3 times in a row: {words}"
    # Two pauses each; it did not spin.
    assert 2 <= caplog.text.count("worker ended") <= 4


async def test_one_that_hangs_up_and_stays_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.workers.worker.END_SECONDS", 0.2)
    run = starts_badly("import os, sys, time; os.close(int(sys.argv[1])); time.sleep(600)", monkeypatch)
    with pytest.raises(WorkerFailed, match="ended by SIGKILL"):
        await asyncio.wait_for(run.task, WITHIN)


async def test_a_stop_while_it_waits_to_try_again(monkeypatch: pytest.MonkeyPatch) -> None:
    run = starts_badly("import sys; sys.exit(7)", monkeypatch)
    monkeypatch.setattr(supervisor_module, "PAUSE_SECONDS", 600.0)
    monkeypatch.setattr(supervisor_module, "LONGEST_PAUSE_SECONDS", 600.0)
    await wait_until(lambda: any(worker._process for worker in run.supervisor._workers), WITHIN)
    await wait_until(lambda: not any(worker._process for worker in run.supervisor._workers), WITHIN)
    run.stop.set()
    assert await asyncio.wait_for(run.task, WITHIN) is True


@pytest.mark.parametrize(
    ("ending", "words"),
    [
        (Ending(1, False, "cannot listen", 0.0), "cannot listen"),
        (Ending(0, True, None, 1.0), "ended with exit code 0"),
        (Ending(-15, True, None, 1.0), "ended by SIGTERM"),
    ],
)
def test_an_ending_in_words(ending: Ending, words: str) -> None:
    assert str(ending) == words


async def test_a_taken_metrics_port_is_refused(redis_server: RedisServer, prefix: str) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        run = Running(Supervisor(settings_for(redis_server, prefix, metrics_port=port), 2, COMMAND))
        with pytest.raises(OSError, match="for metrics"):
            await asyncio.wait_for(run.task, WITHIN)
