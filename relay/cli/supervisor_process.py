"""The process of the supervisor, which starts the workers and holds no clients itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Final

from relay.cli.gateway_process import FAILED, STOPPED, explain_start_failure, print_failure
from relay.cli.reload_signal import reload_at_signal
from relay.cli.stop_signals import ENDED_BY_SIGNAL, StopSignals
from relay.settings import Settings
from relay.workers.processors import usable_processors
from relay.workers.supervisor import Supervisor, WorkerStartError
from relay.workers.timing import DEFAULT_TIMING, Timing

# -P: with PYTHONPATH a worker finds the modules that this process finds, and no others.
WORKER_COMMAND: Final = (sys.executable, "-P", "-m", "relay.cli.worker_process")


def count_workers(settings: Settings) -> int:
    """Return the number of processes that serve clients."""
    return usable_processors() if settings.workers == "auto" else settings.workers


def run_workers(
    settings: Settings,
    count: int,
    started: Callable[[int], None] = lambda port: None,
    *,
    command: Sequence[str] = WORKER_COMMAND,
    timing: Timing = DEFAULT_TIMING,
) -> int:
    """Run a gateway as several processes until a signal ends them.

    Args:
        settings: of the gateway.
        count: of workers.
        started: called with the port once all workers listen.
        command: that starts a worker.
        timing: how long the supervisor waits for what.

    Returns:
        The exit code of this process; that of a worker when it can't start.
    """
    signals = StopSignals()
    supervisor = Supervisor(settings, count, command, started, timing)
    try:
        return asyncio.run(_run(settings, supervisor, signals))
    except OSError as error:
        print_failure(explain_start_failure(error, settings))
        return FAILED
    except WorkerStartError as error:
        print_failure(str(error))
        code = error.last.code
        return code if code > 0 else ENDED_BY_SIGNAL - code if code < 0 else FAILED
    finally:
        signals.disarm()


async def _run(settings: Settings, supervisor: Supervisor, signals: StopSignals) -> int:
    signals.install()
    reload_at_signal(settings, supervisor.reload)
    drained = await supervisor.run(signals.drain, signals.stop)
    if signals.stop.is_set():
        return ENDED_BY_SIGNAL + signals.number
    return STOPPED if drained else FAILED
