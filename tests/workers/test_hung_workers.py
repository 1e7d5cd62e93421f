"""Workers that hang, under a supervisor with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import pytest

from relay.workers.timing import Timing
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.http_response import get
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected
from tests.workers.running_supervisor import RunningSupervisor, process_exists, running, settings_for

pytestmark = pytest.mark.usefixtures("forked_workers")

WITHIN = PATIENCE_SECONDS

QUICK = Timing(status_interval=0.1, status_timeout=0.5)
NEVER_SUSPECTS = Timing(status_interval=0.1, status_timeout=0.5, suspect_after=3600)
QUICK_TO_SUSPECT = Timing(status_interval=0.1, status_timeout=0.5, suspect_after=0.2)


async def test_a_worker_that_pauses_is_noticed_and_goes_on(redis_server: RedisServer, prefix: str) -> None:
    """Within its timeout nothing is lost."""
    async with running(settings_for(redis_server, prefix, worker_timeout=3600), timing=QUICK) as run:
        os.kill(run.pid(1), signal.SIGSTOP)

        async def only_it_is_silent() -> bool:
            status = await run.status()
            return (status.problems, status.snapshot.gauges.silent_processes) == (["worker 1: it does not answer"], 1)

        await wait_until(only_it_is_silent, WITHIN)
        os.kill(run.pid(1), signal.SIGCONT)
        await wait_until(run.ready, WITHIN)
        assert (await run.status()).snapshot.counters.worker_restarts == 0


# A worker hangs when it is stopped, and when it computes for ever.
@pytest.mark.parametrize("number", [signal.SIGSTOP, signal.SIGUSR1])
async def test_a_worker_that_hangs_is_replaced(
    redis_server: RedisServer, prefix: str, number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    command = (sys.executable, "-P", "-m", "tests.workers.hanging_worker")
    settings = settings_for(redis_server, prefix, worker_timeout=1)
    async with running(settings, command, QUICK) as run:
        hung, other = run.pid(1), run.pid(2)
        os.kill(hung, number)
        await wait_until(lambda: not process_exists(hung), WITHIN, "the hung worker is killed")
        await wait_until(run.ready, WITHIN)
        assert run.pid(2) == other
        assert (await run.status()).snapshot.counters.worker_restarts == 1
    assert "killing a worker that does not answer worker=1" in caplog.text


@pytest.mark.parametrize("event_loop", ["asyncio", "uvloop"])
async def test_a_worker_that_hangs_keeps_no_client_waiting(
    redis_server: RedisServer, prefix: str, event_loop: str
) -> None:
    """Clients that wait for it are reset as after a crash, new ones go to the others; later it gets new ones again."""
    settings = settings_for(redis_server, prefix, worker_timeout=3600, event_loop=event_loop)
    async with running(settings, timing=NEVER_SUSPECTS) as run:
        worker, other = run.supervisor.workers
        os.kill(run.pid(1), signal.SIGSTOP)
        early = [socket.create_connection(("127.0.0.1", settings.port)) for _ in range(40)]
        answers = asyncio.gather(*map(answered_over, early))
        # On a busy machine the other worker may be late, too: suspect the one that hangs once only that one is silent.
        await wait_until(lambda: worker.silent_seconds > 1.0 and not other.silent_seconds, WITHIN, "it is silent")
        run.supervisor.watchdog.suspect_seconds = 1.0
        await wait_until(lambda: not worker.accepting, WITHIN, "it listens no more")
        outcomes = await asyncio.wait_for(answers, WITHIN)
        # By the kernel's hash: the chance of none is one in a million millions.
        assert set(outcomes) == {True, False}
        assert await asyncio.gather(*[answered(settings.port) for _ in range(40)]) == [True] * 40
        run.supervisor.watchdog.suspect_seconds = 3600.0  # from here on slowness is not what is tested
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


async def has_clients(run: RunningSupervisor, number: int) -> bool:
    """Return whether a worker has clients."""
    await run.status()
    status = run.supervisor.workers[number - 1].status
    return status is not None and status.snapshot.counters.connections_open > 0


async def test_the_last_worker_that_accepts_goes_on_listening(redis_server: RedisServer, prefix: str) -> None:
    """Without another worker, clients had better wait than be refused."""
    settings = settings_for(redis_server, prefix, worker_timeout=3600)
    async with running(settings, timing=QUICK_TO_SUSPECT) as run:
        workers = run.supervisor.workers
        for number in (1, 2):
            os.kill(run.pid(number), signal.SIGSTOP)
        await wait_until(lambda: all(worker.silent_seconds > 0.5 for worker in workers), WITHIN)
        assert sorted(worker.accepting for worker in workers) == [False, True]
        run.supervisor.watchdog.suspect_seconds = 3600.0
        waiting = [asyncio.create_task(answered(settings.port)) for _ in range(10)]
        for number in (1, 2):
            os.kill(run.pid(number), signal.SIGCONT)
        assert await asyncio.gather(*waiting) == [True] * 10
