"""One worker as the supervisor sees it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import pytest

from relay.settings import Settings
from relay.workers import worker as module
from relay.workers.messages import Drain, Whole
from relay.workers.worker import Ending, Worker

FIRST_TWO_WORDS = """
import socket, sys
from relay.workers.pipe import receive_blocking
end = socket.socket(fileno=int(sys.argv[1]))
words = [type(receive_blocking(end)).__name__ for _ in range(2)]
sys.exit(0 if words == ["Begin", "Drain"] else 7)
"""


def worker(*command: str) -> Worker:
    """Return a worker that has not lived yet."""

    async def tell_whole() -> Whole:
        raise AssertionError

    return Worker(1, Settings(), command, tell_whole)


async def live(worker: Worker) -> Ending:
    """Let it live, and return how it ended."""
    return await asyncio.wait_for(worker.live(lambda _: None), 20)


async def test_an_order_that_comes_while_its_process_starts_is_not_the_first_word(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The process would take it for its settings."""
    fresh = worker(sys.executable, "-c", FIRST_TWO_WORDS)
    start = module._start

    async def slow_start(*arguments: object) -> asyncio.subprocess.Process:
        fresh.order(Drain())
        return await start(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_start", slow_start)
    assert (await live(fresh)).code == 0


@pytest.mark.parametrize("command", [("/nowhere/at/all",), ("/",)])
async def test_a_process_that_can_not_be_made_is_an_ending(command: Sequence[str]) -> None:
    """Such as for want of memory; the other workers have clients."""
    ending = await live(worker(*command))
    assert ending.code == 1
    assert not ending.listened
    assert str(ending).startswith("cannot start a process: ")
