"""A supervisor that runs inside the test's event loop, with real worker processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from relay.cli.supervisor_process import WORKER_COMMAND
from relay.settings import Settings
from relay.workers.messages import CombinedStatus
from relay.workers.supervisor import Supervisor
from relay.workers.timing import DEFAULT_TIMING, Timing
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.free_port import free_port
from tests.harness.redis_server import RedisServer


class RunningSupervisor:
    """A supervisor that runs in a task of its own.

    Attributes:
        drain: set to drain all workers.
        stop: set to stop them at once.
        task: returns what `Supervisor.run` does.
    """

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.drain, self.stop = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(supervisor.run(self.drain, self.stop))

    async def status(self) -> CombinedStatus:
        """Request the status of all workers."""
        return await self.supervisor.monitor.status()

    async def ready(self) -> bool:
        """Return whether all workers are ready."""
        if self.task.done():
            self.task.result()
        return bool(self.supervisor.workers) and not (await self.status()).problems

    def pid(self, number: int) -> int:
        """Return the process id of a worker."""
        pid = self.supervisor.workers[number - 1].pid
        assert pid is not None
        return pid


@asynccontextmanager
async def running(
    settings: Settings, command: Sequence[str] = WORKER_COMMAND, timing: Timing = DEFAULT_TIMING
) -> AsyncIterator[RunningSupervisor]:
    """Run a supervisor with two workers; enter when both are ready, and drain them at the end."""
    run = RunningSupervisor(Supervisor(settings, 2, command, timing=timing))
    try:
        await wait_until(run.ready, PATIENCE_SECONDS, "all workers are ready")
        yield run
        run.drain.set()
        await asyncio.wait_for(run.task, PATIENCE_SECONDS)
    finally:
        run.task.cancel()
        await asyncio.gather(run.task, return_exceptions=True)


def settings_for(redis_server: RedisServer, prefix: str, **given: object) -> Settings:
    """Return settings of a gateway with workers."""
    fixed = {"broker_url": redis_server.url, "broker_prefix": prefix, "port": free_port(), "drain_seconds": 0}
    return Settings(workers=2, log_level="warning", **{**fixed, **given})  # type: ignore[arg-type]


def process_exists(pid: int) -> bool:
    """Return whether a process exists."""
    return Path(f"/proc/{pid}").exists()
