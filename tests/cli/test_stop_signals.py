"""SIGTERM and SIGINT as events."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest

from relay.cli.stop_signals import SIGNALS, StopSignals
from tests.harness.conditions import wait_until_blocking


def test_a_process_that_hangs_after_the_second_signal_exits_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it waits for."""
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)

    signals = StopSignals(last_resort_seconds=0.01)
    signals.receive(signal.SIGTERM)
    assert codes == []
    signals.receive(signal.SIGINT)
    wait_until_blocking(lambda: codes == [128 + signal.SIGINT])


async def test_where_the_loop_takes_no_signal_handlers_the_process_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Windows."""

    def refuse(*_: object) -> None:
        raise NotImplementedError

    monkeypatch.setattr(asyncio.get_running_loop(), "add_signal_handler", refuse)
    before = {number: signal.getsignal(number) for number in SIGNALS}
    signals = StopSignals()
    try:
        signals.install()
        os.kill(os.getpid(), signal.SIGTERM)
        await signals.drain.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert signals.number == signal.SIGTERM
