"""The supervisor with real processes: how workers start, are replaced, and end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import pytest

from relay.cli.supervisor_process import WORKER_COMMAND
from relay.settings import Settings
from relay.workers.supervisor import Supervisor, WorkerStartError
from relay.workers.timing import Timing
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.free_port import free_port
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected
from tests.workers.running_supervisor import RunningSupervisor, process_exists, running, settings_for

pytestmark = pytest.mark.usefixtures("forked_workers")

WITHIN = PATIENCE_SECONDS


async def test_a_process_that_can_not_be_started_is_tried_again_and_the_others_go_on(
    redis_server: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    command = list(WORKER_COMMAND)
    async with running(settings_for(redis_server, prefix), command) as run:
        first, second = run.pid(1), run.pid(2)
        command[:] = ["/nowhere/at/all"]
        os.kill(first, signal.SIGKILL)
        await wait_until(lambda: "why=cannot start a process: No such file" in caplog.text, WITHIN)
        command[:] = WORKER_COMMAND
        await wait_until(run.ready, WITHIN)
        assert run.pid(1) != first
        assert run.pid(2) == second


async def test_workers_that_do_not_drain_in_time_are_stopped(
    redis_server: RedisServer, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One that hangs is killed; the result says that not all have drained."""
    settings = settings_for(redis_server, prefix, publish_timeout=0, worker_timeout=3600)
    async with running(settings, timing=Timing(drain_grace=-10.0, stop_timeout=0.5)) as run:
        os.kill(run.pid(2), signal.SIGSTOP)
        run.drain.set()
        assert await asyncio.wait_for(run.task, WITHIN) is False
    assert "ending workers that did not drain in time" in caplog.text
    assert "worker ended worker=2 why=ended by SIGKILL" in caplog.text


async def test_when_told_to_stop_it_does_not_wait_for_the_drain(redis_server: RedisServer, prefix: str) -> None:
    settings = settings_for(redis_server, prefix, drain_seconds=600)
    async with running(settings) as run, connected(*[f"ws://127.0.0.1:{settings.port}/ws/a"] * 4):
        run.drain.set()
        run.stop.set()
        assert await asyncio.wait_for(run.task, WITHIN) is False


async def test_when_it_is_cancelled_no_process_is_left(redis_server: RedisServer, prefix: str) -> None:
    async with running(settings_for(redis_server, prefix, metrics_port=free_port())) as run:
        pids = [run.pid(1), run.pid(2)]
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)
        assert not any(process_exists(pid) for pid in pids)
        assert run.task.cancelled()
        run.task = asyncio.create_task(asyncio.sleep(0))  # type: ignore[arg-type]


def run_script(script: str, timing: Timing) -> RunningSupervisor:
    """Run a supervisor whose two workers are a Python script."""
    settings = Settings(workers=2, port=0, broker_url="redis://127.0.0.1:1")
    return RunningSupervisor(Supervisor(settings, 2, (sys.executable, "-S", "-c", script), timing=timing))


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        ("import sys; sys.exit(7)", 7, "ended with exit code 7"),
        ("import os; os.kill(os.getpid(), 9)", -9, "ended by SIGKILL"),
    ],
)
async def test_a_worker_that_never_starts_ends_the_supervisor(
    caplog: pytest.LogCaptureFixture, script: str, code: int, words: str
) -> None:
    run = run_script(script, Timing(first_pause=0.05))
    with pytest.raises(WorkerStartError) as caught:
        await asyncio.wait_for(run.task, WITHIN)
    assert caught.value.last.code == code
    assert str(caught.value) == f"worker {caught.value.worker} did not start, 3 times in a row: {words}"
    # Two pauses for each worker: it did not spin.
    assert 2 <= caplog.text.count("worker ended") <= 4


async def test_a_process_that_closes_its_pipe_and_stays_is_killed() -> None:
    script = "import os, sys, time; os.close(int(sys.argv[1])); time.sleep(600)"
    run = run_script(script, Timing(first_pause=0.05, exit_timeout=0.2))
    with pytest.raises(WorkerStartError, match="ended by SIGKILL"):
        await asyncio.wait_for(run.task, WITHIN)


async def test_a_drain_during_the_pause_before_the_next_attempt() -> None:
    run = run_script("import sys; sys.exit(7)", Timing(first_pause=600.0, longest_pause=600.0))
    await wait_until(lambda: any(worker.pid for worker in run.supervisor.workers), WITHIN)
    await wait_until(lambda: not any(worker.pid for worker in run.supervisor.workers), WITHIN)
    run.drain.set()
    assert await asyncio.wait_for(run.task, WITHIN) is True


async def test_a_taken_metrics_port_is_refused(redis_server: RedisServer, prefix: str) -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with taken:
        port = taken.sockets[0].getsockname()[1]
        settings = settings_for(redis_server, prefix, metrics_port=port)
        run = RunningSupervisor(Supervisor(settings, 2, WORKER_COMMAND))
        with pytest.raises(OSError, match="for metrics"):
            await asyncio.wait_for(run.task, WITHIN)


def test_each_worker_has_its_share_of_what_a_gateway_may_take() -> None:
    """What is one address's or one user's is not split: the kernel may give all of its clients to one worker."""
    settings = Settings(
        broker_url="redis://localhost", max_connections=5, max_new_connections_per_second=3, max_connections_per_user=4
    )
    supervisor = Supervisor(settings, 2, ())
    shares = [supervisor._settings_of(number) for number in (1, 2)]
    assert [share.max_connections for share in shares] == [3, 2]
    assert [share.max_new_connections_per_second for share in shares] == [2, 1]
    assert [share.max_connections_per_user for share in shares] == [4, 4]


def test_a_limit_that_is_off_stays_off_in_each_worker() -> None:
    settings = Settings(broker_url="redis://localhost", max_new_connections_per_second=0)
    share = Supervisor(settings, 2, ())._settings_of(1)
    assert (share.max_connections, share.max_new_connections_per_second) == (None, 0)
