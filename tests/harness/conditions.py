"""Waiting for something to become true, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

POLL_SECONDS = 0.004

PATIENCE_SECONDS = 60.0
"""How long a test waits for what has to happen, however slow and busy the machine is; it says nothing about how fast
the relay has to be. Where that matters a test measures it."""

Condition = Callable[[], object] | Callable[[], Awaitable[object]]


class ConditionTimeout(AssertionError):
    """A condition that stayed false; its text says which and for how long."""


async def wait_until(
    condition: Condition, within: float = PATIENCE_SECONDS, what: Callable[[], object] | str = ""
) -> None:
    """Return as soon as a condition holds; the event loop goes on meanwhile.

    Args:
        condition: plain or async function; anything true counts.
        within: seconds until `ConditionTimeout` is raised.
        what: what was waited for; a function is called only when it is too late.
    """
    began = time.monotonic()
    while True:
        result = condition()
        if inspect.isawaitable(result):
            result = await result
        if result:
            return
        if time.monotonic() - began > within:
            raise ConditionTimeout(_describe(condition, within, what))
        await asyncio.sleep(POLL_SECONDS)


def wait_until_blocking(condition: Callable[[], object], within: float = PATIENCE_SECONDS, what: str = "") -> None:
    """Do what `wait_until` does, without an event loop; for fixtures that are shared by many tests."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > within:
            raise ConditionTimeout(_describe(condition, within, what))
        time.sleep(POLL_SECONDS)


async def stays_true(condition: Callable[[], object], seconds: float) -> bool:
    """Return whether a condition holds during the next `seconds`; for what must not happen."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if not condition():
            return False
        await asyncio.sleep(POLL_SECONDS)
    return True


def _describe(condition: Condition, within: float, what: Callable[[], object] | str) -> str:
    seen = what() if callable(what) else what
    return f"not true within {within:g} s: {seen or getattr(condition, '__qualname__', condition)}"
