"""Ctrl-C while a command waits."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

from relay.cli.interruption import run_interruptible
from tests.harness.conditions import wait_until_blocking


@pytest.fixture(autouse=True)
def _ctrl_c_is_not_ignored() -> Iterator[None]:
    """Undo what a shell does for a command in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_the_result_is_that_of_the_work() -> None:
    async def work() -> str:
        return "done"

    assert run_interruptible(work) == "done"


def test_it_is_noticed_even_while_nothing_else_happens() -> None:
    """Also when another thread gets the signal, as then nothing interrupts the event loop's sleep."""
    cleaned: list[bool] = []
    waiting, main_thread = threading.Event(), threading.get_ident()

    async def work() -> None:
        try:
            waiting.set()
            await asyncio.Event().wait()
        finally:
            cleaned.append(True)

    def interrupt() -> None:
        waiting.wait()
        wait_until_blocking(lambda: "select" in sys._current_frames()[main_thread].f_code.co_name)  # the loop is asleep
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        run_interruptible(work)
    thread.join()
    assert cleaned == [True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_cancellation_of_its_own_is_no_interruption() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        run_interruptible(work)


def test_where_no_signals_can_be_handled_it_works_without() -> None:
    """In a thread."""
    results: list[str] = []

    async def work() -> str:
        return "done"

    thread = threading.Thread(target=lambda: results.append(run_interruptible(work)))
    thread.start()
    thread.join()
    assert results == ["done"]
