"""Tests in virtual time: pauses and timeouts cost nothing, and are as long as they say on every machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.fuzz.virtual_clock import VirtualClockLoop


def in_virtual_time(test: Callable[[], Awaitable[None]]) -> Callable[[pytest.MonkeyPatch], None]:
    """Run a test in an event loop whose clock, which is the relay's, too, jumps to the next timer.

    For what goes on inside this process: an answer from outside takes no virtual time.
    """

    def run(monkeypatch: pytest.MonkeyPatch) -> None:
        async def in_a_coroutine() -> None:
            await test()

        with asyncio.Runner(loop_factory=VirtualClockLoop) as runner:
            monkeypatch.setattr("time.monotonic", runner.get_loop().time)
            runner.run(in_a_coroutine())

    return run
