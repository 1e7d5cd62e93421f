"""The interruption of a command that waits, by Ctrl-C."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

Result = TypeVar("Result")


def run_interruptible(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine in an event loop of its own, and return its result.

    `asyncio.run` alone leaves Ctrl-C to the interpreter, which doesn't wake up an event loop: a signal that comes right
    before the loop falls asleep would be handled with the next message only. The loop's own handler does wake it.

    Args:
        work: makes the coroutine, which Ctrl-C cancels.

    Raises:
        KeyboardInterrupt: Ctrl-C has cancelled it.
    """
    interrupted = False

    async def main() -> Result:
        task = asyncio.current_task()
        assert task is not None

        def interrupt() -> None:
            nonlocal interrupted
            interrupted = True
            task.cancel()

        with suppress(NotImplementedError, RuntimeError):  # Windows, and any thread but the main one
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, interrupt)
        return await work()

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
