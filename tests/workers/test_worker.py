"""One worker as the supervisor sees it, and how its processes start and end."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import pytest

from relay.settings import Settings
from relay.workers.child_process import ProcessExit, spawn
from relay.workers.messages import CombinedStatus
from relay.workers.worker import Worker
from tests.harness.conditions import PATIENCE_SECONDS

FIRST_TWO_MESSAGES = """
import socket, sys
from relay.workers.pipe import receive_blocking
from tests.harness.conditions import PATIENCE_SECONDS
from tests.harness.conditions import PATIENCE_SECONDS
end = socket.socket(fileno=int(sys.argv[1]))
messages = [type(receive_blocking(end)).__name__ for _ in range(2)]
sys.exit(0 if messages == ["Start", "Drain"] else 7)
"""


def worker(*command: str) -> Worker:
    """Return a worker without a process."""

    async def combined_status() -> CombinedStatus:
        raise AssertionError

    return Worker(1, Settings(), command, combined_status)


async def run(worker: Worker) -> ProcessExit:
    """Run one process of a worker, and return how it ended."""
    return await asyncio.wait_for(worker.run_process(lambda _: None), PATIENCE_SECONDS)


async def test_a_drain_while_its_process_starts_is_not_the_first_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process would take it for its settings."""
    fresh = worker(sys.executable, "-c", FIRST_TWO_MESSAGES)

    async def slow_spawn(*arguments: object) -> asyncio.subprocess.Process:
        fresh.drain()
        return await spawn(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr("relay.workers.worker.spawn", slow_spawn)
    assert (await run(fresh)).code == 0


@pytest.mark.parametrize("command", [("/nowhere/at/all",), ("/",)])
async def test_a_process_that_can_not_be_started_has_ended(command: Sequence[str]) -> None:
    """Such as for lack of memory: it is no error of the supervisor, since the other workers have clients."""
    ended = await run(worker(*command))
    assert ended.code == 1
    assert not ended.listened
    assert str(ended).startswith("cannot start a process: ")
