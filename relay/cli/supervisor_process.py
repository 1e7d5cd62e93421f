"""The life of the process that starts the workers and holds no clients itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Final

from relay.cli.gateway_process import ENDED_BY_SIGNAL, FAILED, STOPPED, StopSignals, complain, why_not
from relay.settings import Settings
from relay.workers.processors import usable_processors
from relay.workers.supervisor import Supervisor, WorkerFailed

# -P: with PYTHONPATH a worker looks for modules where this process does, and nowhere else.
COMMAND: Final = (sys.executable, "-P", "-m", "relay.cli.worker_process")


def count_workers(settings: Settings) -> int:
    """Return how many processes serve clients."""
    return usable_processors() if settings.workers == "auto" else settings.workers


def run_workers(settings: Settings, count: int, started: Callable[[int], None] = lambda port: None) -> int:
    """Run a gateway as several processes until a signal ends them.

    Args:
        settings: of all together.
        count: of processes.
        started: called with the port once all of them listen.

    Returns:
        The exit code of this process; that of a worker when it can't start.
    """
    signals = StopSignals()
    try:
        return asyncio.run(_live(settings, count, signals, started))
    except OSError as error:
        complain(why_not(error, settings))
        return FAILED
    except WorkerFailed as error:
        complain(str(error))
        code = error.ending.code
        return code if code > 0 else ENDED_BY_SIGNAL - code if code < 0 else FAILED
    finally:
        signals.forget()


async def _live(settings: Settings, count: int, signals: StopSignals, started: Callable[[int], None]) -> int:
    signals.install()
    well = await Supervisor(settings, count, COMMAND, started).run(signals.first, signals.second)
    if signals.second.is_set():
        return ENDED_BY_SIGNAL + signals.number
    return STOPPED if well else FAILED
