"""The process of a gateway: its event loop, from its start to its exit code."""

from __future__ import annotations

import asyncio
import errno
import gc
import socket
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal

import click

import relay
from relay.cli.reload_signal import reload_at_signal
from relay.cli.stop_signals import ENDED_BY_SIGNAL, StopSignals
from relay.errors import RelayError
from relay.gateway.capacity import raise_descriptor_limit
from relay.logs import flush_logs
from relay.settings import Settings
from relay.settings.field import PREFIX
from relay.settings.problem import SettingsError
from relay.system_error import in_words
from relay.web.metrics_port import MetricsPortError

if TYPE_CHECKING:
    from relay.gateway import Gateway

STOPPED: Final = 0
FAILED: Final = 1


def run_gateway(settings: Settings, started: Callable[[int], None] = lambda port: None) -> int:
    """Run a gateway until a signal ends it.

    Args:
        settings: of the gateway.
        started: called with the port once it listens.

    Returns:
        The exit code of the process.

    Raises:
        SettingsError: a setting can't be used, which only shows when the gateway is made.
    """
    signals = StopSignals()
    try:
        with asyncio.Runner(loop_factory=loop_factory(settings.event_loop)) as runner:
            return runner.run(_run(settings, signals, started))
    except SettingsError:
        raise
    except OSError as error:
        print_failure(explain_start_failure(error, settings))
    except RelayError as error:
        print_failure(str(error))
    finally:
        signals.disarm()
    return FAILED


def print_failure(reason: str) -> None:
    """Print on standard error why the process ends, after all log entries; skipped when these can't be written."""
    if flush_logs():
        click.secho(f"relay: {reason}", fg="red", err=True)


def loop_factory(event_loop: Literal["auto", "uvloop", "asyncio"]) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return the factory of the event loop; None for the one of the standard library."""
    if event_loop == "asyncio" or (event_loop == "auto" and find_spec("uvloop") is None):
        return None
    import uvloop

    return uvloop.new_event_loop


async def _run(settings: Settings, signals: StopSignals, started: Callable[[int], None]) -> int:
    signals.install()
    gateway = relay.Gateway(settings)
    reload_at_signal(settings, gateway.reload)
    drained = await run_until_ended(gateway, signals.drain, signals.stop, lambda: started(gateway.port))
    return STOPPED if drained else ENDED_BY_SIGNAL + signals.number


async def run_until_ended(
    gateway: Gateway,
    drain: asyncio.Event,
    stop: asyncio.Event,
    started: Callable[[], None] = lambda: None,
) -> bool:
    """Start a gateway, and return when it has drained or stopped.

    Args:
        gateway: not started yet.
        drain: set to drain it.
        stop: set to stop it at once, after `drain`.
        started: called when it listens.

    Returns:
        Whether it was drained, or had nothing to drain.
    """
    raise_descriptor_limit()
    # What exists now lives as long as the process: the collector needn't scan it again. Connections are made later, so
    # they are never frozen. There are few cycles to find, so the collector may also run less often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    if not await _unless(drain, gateway.start()):
        await gateway.stop()
        return True
    started()
    await drain.wait()
    if await _unless(stop, gateway.drain()):
        return True
    await gateway.stop()
    return False


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work, but cancel it when the event comes first; return whether it was done."""
    tasks = [asyncio.create_task(work), asyncio.create_task(event.wait())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            await tasks[0]
            return True
        return False
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def explain_start_failure(error: OSError, settings: Settings) -> str:
    """Return in one line why a gateway could not start."""
    name = "metrics_port" if isinstance(error, MetricsPortError) else "port"
    flag, variable = f"--{name.replace('_', '-')}", f"{PREFIX}{name.upper()}"
    place = f"{', '.join(settings.host)} port {getattr(settings, name)}"
    if error.errno == errno.EADDRINUSE:
        return f"cannot listen on {place}: it is taken; choose another with {flag} or {variable}"
    if error.errno == errno.EACCES:
        return f"cannot listen on {place}: not permitted; ports below 1024 need a privilege"
    if isinstance(error, socket.gaierror):
        return f"cannot listen on {place}: looking up the name failed: {in_words(error)}; see --host or RELAY_HOST"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"cannot listen on {place}: no such address on this machine; see --host or RELAY_HOST"
    return f"cannot start: {in_words(error)}"
