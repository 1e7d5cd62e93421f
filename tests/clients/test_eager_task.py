"""Coroutines that begin at once."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager

import pytest

from relay.clients.eager_task import start_at_once


class Journal:
    """A coroutine's work, and what it has met.

    Attributes:
        steps: what it has done so far.
    """

    def __init__(self) -> None:
        self.steps: list[str] = []

    async def work(self, *awaited: Awaitable[object], error: Exception | None = None) -> None:
        """Wait for one thing after the other, and end in order or with an error."""
        self.steps.append("begun")
        try:
            for number, one in enumerate(awaited):
                self.steps.append(f"got {await one}" if number else f"first {await one}")
            if error is not None:
                raise error
            self.steps.append("done")
        except asyncio.CancelledError:
            self.steps.append("cancelled")
            raise
        finally:
            self.steps.append("ended")

    async def clean_up_slowly(self, forever: asyncio.Future[None]) -> None:
        """Need another turn of the event loop after the cancellation."""
        try:
            await forever
        finally:
            await asyncio.sleep(0)
            self.steps.append("cleaned up")


def a_future() -> asyncio.Future[str]:
    return asyncio.get_running_loop().create_future()


@asynccontextmanager
async def counted_tasks() -> AsyncIterator[list[object]]:
    """Collect the coroutines of all tasks that the block makes."""
    loop = asyncio.get_running_loop()
    made: list[object] = []

    def factory(loop: asyncio.AbstractEventLoop, coroutine: object, **options: object) -> asyncio.Task[None]:
        made.append(coroutine)
        return asyncio.Task(coroutine, loop=loop, **options)  # type: ignore[arg-type]

    loop.set_task_factory(factory)  # type: ignore[arg-type]
    try:
        yield made
    finally:
        loop.set_task_factory(None)


async def test_what_never_waits_is_done_at_once_and_is_no_task() -> None:
    journal = Journal()
    finished = a_future()
    finished.set_result("already")
    async with counted_tasks() as made:
        assert start_at_once(journal.work()) is None
        assert start_at_once(journal.work(finished)) is None
    assert journal.steps == ["begun", "done", "ended", "begun", "first already", "done", "ended"]
    assert made == []


async def test_what_waits_goes_on_as_one_task() -> None:
    journal = Journal()
    first, second = a_future(), a_future()
    async with counted_tasks() as made:
        task = start_at_once(journal.work(first, second))
        assert journal.steps == ["begun"]
        assert task is not None
        first.set_result("one")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert journal.steps == ["begun", "first one"]
        second.set_result("two")
        await task
    assert journal.steps == ["begun", "first one", "got two", "done", "ended"]
    assert len(made) == 1


async def test_what_it_waits_for_may_come_before_the_task_has_begun() -> None:
    journal = Journal()
    first = a_future()
    task = start_at_once(journal.work(first, asyncio.sleep(0, "slept")))
    first.set_result("soon")
    assert task is not None
    await task
    assert journal.steps == ["begun", "first soon", "got slept", "done", "ended"]


async def test_an_error_before_the_first_wait_is_the_callers() -> None:
    journal = Journal()
    with pytest.raises(ValueError, match="now"):
        start_at_once(journal.work(error=ValueError("now")))
    assert journal.steps == ["begun", "ended"]


async def test_an_error_after_it_is_the_tasks() -> None:
    journal = Journal()
    first = a_future()
    task = start_at_once(journal.work(first, error=ValueError("later")))
    first.set_result("one")
    assert task is not None
    with pytest.raises(ValueError, match="later"):
        await task
    assert journal.steps == ["begun", "first one", "ended"]


async def test_an_error_of_what_it_waits_for_reaches_it() -> None:
    journal = Journal()
    first = a_future()
    task = start_at_once(journal.work(first))
    first.set_exception(ConnectionError("broken"))
    assert task is not None
    with pytest.raises(ConnectionError, match="broken"):
        await task
    assert journal.steps == ["begun", "ended"]


@pytest.mark.parametrize("steps", [0, 1, 2])
async def test_a_cancellation_reaches_it_before_and_after_the_tasks_first_step(steps: int) -> None:
    journal = Journal()
    first = a_future()
    task = start_at_once(journal.work(first))
    assert task is not None
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert journal.steps == ["begun", "cancelled", "ended"]
    # A future that only it has waited for is cancelled with it, as in any task, once the task has waited for it.
    assert first.cancelled() == (steps > 0)


@pytest.mark.parametrize("steps", [0, 1])
async def test_a_cancelled_one_may_wait_while_it_cleans_up(steps: int) -> None:
    journal = Journal()
    forever: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    task = start_at_once(journal.clean_up_slowly(forever))
    assert task is not None
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert journal.steps == ["cleaned up"]


async def test_only_its_task_drives_it() -> None:
    """To close it closes the coroutine, as the interpreter does with a task that nothing holds any more."""
    journal = Journal()
    task = start_at_once(journal.work(a_future()))
    assert task is not None
    driven = task.get_coro()
    assert isinstance(driven, Coroutine)
    with pytest.raises(NotImplementedError):
        driven.__await__()
    driven.close()
    assert journal.steps == ["begun", "ended"]
    task.cancel()
    await asyncio.wait([task])


async def test_its_time_outs_work_after_a_first_wait() -> None:
    """`asyncio.timeout` needs a task; the coroutine gets one by waiting for nothing."""

    async def impatient() -> None:
        await asyncio.sleep(0)
        async with asyncio.timeout(0.01):
            await asyncio.get_running_loop().create_future()

    task = start_at_once(impatient())
    assert task is not None
    with pytest.raises(TimeoutError):
        await task


@pytest.mark.parametrize("ending", ["at once", "value", "error", "cancelled early", "cancelled late"])
async def test_it_leaves_nothing_behind(ending: str) -> None:
    """No reference cycle, no callback on what it has waited for, and no "never retrieved" of the task."""

    class Thing:
        pass

    async def hold(thing: Thing, awaited: asyncio.Future[str]) -> None:
        await awaited

    awaited, thing = a_future(), Thing()
    if ending == "at once":
        awaited.set_result("")
    leftover = weakref.ref(thing)
    gc.collect()
    gc.disable()
    try:
        task = start_at_once(hold(thing, awaited))
        del thing
        if ending != "cancelled early":
            await asyncio.sleep(0)
        if ending == "value":
            awaited.set_result("")
        elif ending == "error":
            awaited.set_exception(ValueError())
        elif task is not None:
            task.cancel()
        if task is not None:
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()
        del task
        assert leftover() is None or ending == "error"  # a traceback holds the frames
        assert not awaited._callbacks
    finally:
        gc.enable()
