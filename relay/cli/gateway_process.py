"""The life of a gateway process: event loop, start, first signal, second signal, exit code."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import socket
import threading
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, Literal

import click

import relay
from relay.errors import RelayError
from relay.gateway.capacity import raise_descriptor_limit
from relay.logs import flush_logs
from relay.settings import Settings
from relay.settings.report import PREFIX
from relay.system_error import in_words
from relay.web.metrics_port import MetricsPortError

if TYPE_CHECKING:
    from relay.gateway import Gateway

STOPPED: Final = 0
FAILED: Final = 1
ENDED_BY_SIGNAL: Final = 128

LAST_RESORT_SECONDS: Final = 2.0
"""Time that a process has to end after a second signal, before it is torn down whatever it is waiting for."""

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class StopSignals:
    """SIGTERM and SIGINT as events: the first asks for a drain, the second for an end at once.

    Args:
        first: set by the first signal.
        second: set by the second signal.
        number: of the latest signal; 0 before any.
    """

    def __init__(self) -> None:
        self.first = asyncio.Event()
        self.second = asyncio.Event()
        self.number = 0
        self._last_resort: threading.Timer | None = None

    def install(self) -> None:
        """Listen to the signals of this process; call inside a running event loop."""
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            try:
                loop.add_signal_handler(number, self.notice, number)
            except NotImplementedError:  # Windows
                signal.signal(number, lambda number, _: loop.call_soon_threadsafe(self.notice, number))

    def notice(self, number: int) -> None:
        """Take note of one signal."""
        self.number = number
        if not self.first.is_set():
            self.first.set()
        elif not self.second.is_set():
            self.second.set()
            # Closing the loop joins threads: a name look-up that hangs would hold the process for minutes.
            self._last_resort = threading.Timer(LAST_RESORT_SECONDS, os._exit, (ENDED_BY_SIGNAL + number,))
            self._last_resort.daemon = True
            self._last_resort.start()

    def forget(self) -> None:
        """Call off the last resort: the process ends by itself."""
        if self._last_resort is not None:
            self._last_resort.cancel()


def run(settings: Settings, started: Callable[[int], None] = lambda port: None) -> int:
    """Run a gateway until a signal ends it.

    Args:
        settings: of the gateway.
        started: called with the port once it listens.

    Returns:
        The exit code of the process.
    """
    signals = StopSignals()
    try:
        with asyncio.Runner(loop_factory=loop_factory(settings.event_loop)) as runner:
            return runner.run(_live(settings, signals, started))
    except OSError as error:
        complain(why_not(error, settings))
    except RelayError as error:
        complain(str(error))
    finally:
        signals.forget()
    return FAILED


def complain(reason: str) -> None:
    """Say why the process ends, after all log entries; not where it would wait for ever for a reader."""
    if flush_logs():
        click.secho(f"relay: {reason}", fg="red", err=True)


def loop_factory(event_loop: Literal["auto", "uvloop", "asyncio"]) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop; None for the one of the standard library."""
    if event_loop == "asyncio" or (event_loop == "auto" and find_spec("uvloop") is None):
        return None
    import uvloop

    return uvloop.new_event_loop


async def _live(settings: Settings, signals: StopSignals, started: Callable[[int], None]) -> int:
    signals.install()
    gateway = relay.Gateway(settings)
    drained = await live(gateway, signals.first, signals.second, lambda: started(gateway.port))
    return STOPPED if drained else ENDED_BY_SIGNAL + signals.number


async def live(
    gateway: Gateway,
    first: asyncio.Event,
    second: asyncio.Event,
    started: Callable[[], None] = lambda: None,
) -> bool:
    """Run a gateway from its start to its end.

    Args:
        gateway: fresh.
        first: set to drain it.
        second: set to end it at once.
        started: called when it listens.

    Returns:
        Whether it was drained, or had nothing to drain.
    """
    raise_descriptor_limit()
    # What exists now lives as long as the process: the collector needn't look at it again. Connections are made
    # later, so that they are never frozen. With few cycles to find, it may also look less often.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    if not await _unless(first, gateway.start()):
        await gateway.stop()
        return True
    started()
    await first.wait()
    if await _unless(second, gateway.drain()):
        return True
    await gateway.stop()
    return False


async def _unless(event: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do the work, but give it up when the event comes first; return whether it was done."""
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


def why_not(error: OSError, settings: Settings) -> str:
    """Return in one line why a gateway could not listen."""
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
