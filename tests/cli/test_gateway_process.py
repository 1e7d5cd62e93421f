"""The process of a gateway, with a stub that only notes what is done to it."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import signal
import socket
from collections.abc import Iterator

import pytest

from relay.cli import gateway_process
from relay.cli.gateway_process import loop_factory, run_gateway
from relay.errors import BusUnavailable
from relay.settings import Settings
from relay.web.metrics_port import MetricsPortError


class StubGateway:
    """Notes its calls, and sends its own process signals while it starts or drains, as many as the test says."""

    calls: list[str]
    failure: Exception | None
    signals_at_start: list[signal.Signals]
    start_hangs: bool
    signals_in_drain: list[signal.Signals]
    frozen_at_start: int
    loop: str
    port = 8000

    def __init__(self, settings: Settings) -> None:
        self.calls.append("made")

    async def start(self) -> None:
        """Fail, be signalled, hang or return."""
        StubGateway.frozen_at_start = gc.get_freeze_count()
        StubGateway.loop = type(asyncio.get_running_loop()).__module__.partition(".")[0]
        self.calls.append("start")
        if self.failure is not None:
            raise self.failure
        for number in self.signals_at_start:
            os.kill(os.getpid(), number)
        if self.start_hangs:
            await asyncio.Event().wait()

    async def drain(self) -> None:
        """Hang when it is to be interrupted."""
        self.calls.append("drain")
        for number in self.signals_in_drain:
            os.kill(os.getpid(), number)
        if self.signals_in_drain:
            await asyncio.Event().wait()

    async def stop(self) -> None:
        """Only note it."""
        self.calls.append("stop")

    def reload(self) -> None:
        """Only note it."""
        self.calls.append("reload")


@pytest.fixture(autouse=True)
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[StubGateway]]:
    """Put the stub in place of the gateway; SIGTERM ends it as soon as it has started."""
    StubGateway.calls = []
    StubGateway.failure = None
    StubGateway.signals_at_start = [signal.SIGTERM]
    StubGateway.start_hangs = False
    StubGateway.signals_in_drain = []
    monkeypatch.setattr("relay.Gateway", StubGateway, raising=False)
    thresholds = gc.get_threshold()
    yield StubGateway
    gc.set_threshold(*thresholds)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_the_first_signal_drains(gateway: type[StubGateway], number: signal.Signals, loop: str) -> None:
    """And the exit code is 0."""
    gateway.signals_at_start = [number]
    assert run_gateway(Settings(event_loop=loop)) == 0  # type: ignore[arg-type]
    assert gateway.calls == ["made", "start", "drain"]
    assert gateway.loop == loop


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_second_signal_stops(gateway: type[StubGateway], number: signal.Signals) -> None:
    """The exit code tells which signal it was."""
    gateway.signals_in_drain = [number]
    assert run_gateway(Settings()) == 128 + number
    assert gateway.calls == ["made", "start", "drain", "stop"]


def test_a_signal_during_the_start_stops(gateway: type[StubGateway]) -> None:
    """There is nothing to drain yet."""
    gateway.start_hangs = True
    assert run_gateway(Settings()) == 0
    assert gateway.calls == ["made", "start", "stop"]


def test_more_than_two_signals_change_nothing(gateway: type[StubGateway]) -> None:
    """An impatient operator presses Ctrl-C often."""
    gateway.signals_in_drain = [signal.SIGINT, signal.SIGTERM, signal.SIGINT]
    assert run_gateway(Settings()) > 128
    assert gateway.calls[-1] == "stop"


def test_what_exists_before_the_first_client_is_frozen(gateway: type[StubGateway]) -> None:
    """Connections are made later, so never frozen."""
    gc.unfreeze()  # what exists before the test is: not after each test, or each would look through it
    run_gateway(Settings())
    assert gateway.frozen_at_start > 10_000
    assert gc.get_threshold() == (50_000, 20, 100)


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (OSError(errno.EADDRINUSE, "in use"), "127.0.0.1 port 8000: it is taken; choose another with --port or"),
        (MetricsPortError(errno.EADDRINUSE, "in use"), "choose another with --metrics-port or RELAY_METRICS_PORT"),
        (OSError(errno.EACCES, "denied"), "not permitted; ports below 1024 need a privilege"),
        (OSError(errno.EADDRNOTAVAIL, "none"), "no such address on this machine; see --host or RELAY_HOST"),
        (
            socket.gaierror(socket.EAI_NONAME, "unknown"),
            "looking up the name failed: unknown; see --host or RELAY_HOST",
        ),
        (OSError(errno.EMFILE, "Too many open files"), "cannot start: Too many open files"),
        (BusUnavailable("no bus"), "bus unavailable: no bus"),
    ],
)
def test_why_it_could_not_start_is_one_line(
    gateway: type[StubGateway], failure: Exception, expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback; exit code 1."""
    gateway.failure = failure
    assert run_gateway(Settings()) == 1
    errors = capsys.readouterr().err
    assert errors.startswith("relay: ")
    assert errors.count("\n") == 1
    assert expected in errors


def test_a_mistake_of_the_program_is_not_hidden(gateway: type[StubGateway]) -> None:
    """Its traceback is printed."""
    gateway.failure = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        run_gateway(Settings())


def test_auto_takes_uvloop_when_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the standard library's loop otherwise."""
    import uvloop

    assert loop_factory("auto") is uvloop.new_event_loop
    assert loop_factory("uvloop") is uvloop.new_event_loop
    assert loop_factory("asyncio") is None
    monkeypatch.setattr(gateway_process, "find_spec", lambda name: None)
    assert loop_factory("auto") is None
