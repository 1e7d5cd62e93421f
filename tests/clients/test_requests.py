"""What clients have asked for that has to wait, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from relay.clients import requests
from relay.clients.requests import Requests
from tests.harness.conditions import wait_until


async def wait_for(event: asyncio.Event) -> None:
    """Wait."""
    await event.wait()


async def fail() -> None:
    """Fail at once."""
    raise ValueError("a fault")


async def fail_later() -> None:
    """Fail in the next tick."""
    await asyncio.sleep(0)
    raise ValueError("a fault")


def no_failure() -> None:
    raise AssertionError("it has not failed")


async def test_what_has_nothing_to_wait_for_is_no_task() -> None:
    waiting, event = Requests(), asyncio.Event()
    event.set()
    before = asyncio.all_tasks()
    assert waiting.start(wait_for(event), no_failure) is None
    assert (len(waiting), asyncio.all_tasks()) == (0, before)


async def test_what_waits_is_kept_until_it_has_ended() -> None:
    waiting, event = Requests(), asyncio.Event()
    tasks = [waiting.start(wait_for(event), no_failure) for _ in range(2)]
    assert len(waiting) == 2
    assert tasks[0] is not None
    tasks[0].cancel()
    await wait_until(lambda: len(waiting) == 1)
    event.set()
    await wait_until(lambda: len(waiting) == 0)


async def test_a_failure_at_once_is_raised() -> None:
    waiting = Requests()
    with pytest.raises(ValueError, match="a fault"):
        waiting.start(fail(), no_failure)
    assert len(waiting) == 0


async def test_a_failure_later_is_logged_and_told(caplog: pytest.LogCaptureFixture) -> None:
    waiting, failures = Requests(), list[int]()
    waiting.start(fail_later(), lambda: failures.append(1))
    await wait_until(lambda: failures)
    assert len(waiting) == 0
    (record,) = caplog.records
    assert "request of a client failed" in record.getMessage()
    assert "fail_later" in caplog.text
    await asyncio.sleep(0)
    assert failures == [1]


async def test_a_request_fails_when_what_it_waits_for_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    """Else its client would wait for ever."""
    waiting, failures = Requests(), list[int]()
    awaited: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait() -> None:
        await awaited

    waiting.start(wait(), lambda: failures.append(1))
    awaited.cancel()
    await wait_until(lambda: failures)
    assert len(waiting) == 0
    assert "what it waited for was cancelled" in caplog.text


async def test_a_stop_cancels_all_and_waits_for_them(caplog: pytest.LogCaptureFixture) -> None:
    waiting, ended = Requests(), list[int]()

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.append(1)

    for _ in range(3):
        waiting.start(wait(), no_failure)
    await asyncio.sleep(0)
    await waiting.stop()
    assert (ended, len(waiting)) == ([1, 1, 1], 0)
    await waiting.stop()
    assert caplog.records == []


async def test_a_stop_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "SETTLE_SECONDS", 0.01)
    waiting, event = Requests(), asyncio.Event()

    async def ignore() -> None:
        while not event.is_set():
            try:
                await event.wait()
            except asyncio.CancelledError:
                continue

    waiting.start(ignore(), no_failure)
    await asyncio.sleep(0)
    await waiting.stop()
    assert len(waiting) == 1
    event.set()
    await wait_until(lambda: len(waiting) == 0)
