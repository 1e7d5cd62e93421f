"""Signals end a comparison, also where their exception is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from bench.compare.interruption import SIGNALS, Interruption


@pytest.fixture
def interruption() -> Iterator[Interruption]:
    """Signals are handled as before in the end."""
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    yield Interruption()
    for signum, handler in before.items():
        signal.signal(signum, handler)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_ends_the_process_once(interruption: Interruption, signum: signal.Signals) -> None:
    interruption.check()
    with pytest.raises(SystemExit, match=str(128 + signum)):
        signal.raise_signal(signum)
    for again in SIGNALS:
        signal.raise_signal(again)  # clearing up goes on


def test_an_exception_that_was_lost_comes_with_the_next_check(interruption: Interruption) -> None:
    with pytest.raises(SystemExit):
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(SystemExit, match="143"):
        interruption.check()
