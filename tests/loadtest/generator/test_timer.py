"""A timer expires once, at its moment."""

from __future__ import annotations

import ctypes
import errno
import sys
import time
from functools import partial
from typing import Any

import pytest

from relay.loadtest.generator.timer import LinuxTimer, LoopTimer, new_timer
from tests.harness.conditions import stays_true, wait_until

MS = 1_000_000

needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="timers are files only on Linux")
KINDS = [LoopTimer, pytest.param(LinuxTimer, marks=needs_linux)]

Unit = type[LoopTimer] | type[LinuxTimer]


class Rung:
    """When a timer expired."""

    def __init__(self, kind: Unit) -> None:
        self.moments: list[int] = []
        self.new_timer = kind(lambda: self.moments.append(time.monotonic_ns()))

    def rang(self, times: int) -> bool:
        """Return whether it rang so many times."""
        return len(self.moments) == times


@pytest.fixture(params=KINDS)
async def rung(request: pytest.FixtureRequest) -> Any:
    """A timer of each type."""
    made = Rung(request.param)
    yield made
    made.new_timer.close()


async def test_it_rings_at_its_moment(rung: Rung) -> None:
    """Not before, and at least once out of some times within 5 ms: the machine may be busy."""
    late = []
    for number in range(1, 6):
        moment = time.monotonic_ns() + 10 * MS
        rung.new_timer.set(moment)
        await wait_until(partial(rung.rang, number))
        late.append(rung.moments[-1] - moment)
    # An event loop's own clock may be ahead by its resolution.
    assert min(late) > -1 * MS
    assert min(late) < 5 * MS


async def test_it_rings_at_once_when_the_moment_is_over(rung: Rung) -> None:
    rung.new_timer.set(time.monotonic_ns() - 1000 * MS)
    await wait_until(lambda: rung.moments)


async def test_set_anew_it_rings_once_at_the_later_moment(rung: Rung) -> None:
    rung.new_timer.set(time.monotonic_ns() + 10 * MS)
    moment = time.monotonic_ns() + 50 * MS
    rung.new_timer.set(moment)
    await wait_until(lambda: rung.moments)
    assert rung.moments[0] >= moment - 1 * MS
    assert await stays_true(lambda: len(rung.moments) == 1, 0.03)


async def test_set_anew_in_its_own_callback_it_rings_again(rung: Rung) -> None:
    rung.new_timer.set(time.monotonic_ns() + 5 * MS)
    await wait_until(lambda: rung.moments)
    rung.new_timer.set(time.monotonic_ns() + 5 * MS)
    await wait_until(lambda: len(rung.moments) == 2)


async def test_cleared_it_does_not_ring(rung: Rung) -> None:
    rung.new_timer.clear()
    rung.new_timer.set(time.monotonic_ns() + 10 * MS)
    rung.new_timer.clear()
    assert await stays_true(lambda: not rung.moments, 0.04)


async def test_run_out_and_set_anew_before_the_loop_looks_it_rings_at_the_later_moment(rung: Rung) -> None:
    """A busy loop sets it when it could have rung already."""
    rung.new_timer.set(time.monotonic_ns() + 1 * MS)
    time.sleep(0.003)  # noqa: ASYNC251  # the loop is busy
    moment = time.monotonic_ns() + 30 * MS
    rung.new_timer.set(moment)
    await wait_until(lambda: rung.moments)
    assert rung.moments[0] >= moment - 1 * MS
    assert await stays_true(lambda: len(rung.moments) == 1, 0.02)


@needs_linux
async def test_a_timer_that_is_set_anew_between_the_look_of_the_loop_and_the_call_does_not_ring() -> None:
    moments: list[int] = []
    timer = LinuxTimer(lambda: moments.append(1))
    timer._expired()
    timer.close()
    assert moments == []


@needs_linux
async def test_a_system_without_timers_left_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Library:
        """A C library whose calls fail."""

        @staticmethod
        def timerfd_create(_clock: int, _flags: int) -> int:
            return -1

    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: Library())
    monkeypatch.setattr(ctypes, "get_errno", lambda: errno.EMFILE)
    with pytest.raises(OSError, match="timerfd_create") as caught:
        LinuxTimer(lambda: None)
    assert caught.value.errno == errno.EMFILE


@pytest.mark.parametrize(("platform", "kind"), [("linux", LinuxTimer), ("darwin", LoopTimer)])
async def test_the_most_precise_one_of_the_system_is_taken(
    monkeypatch: pytest.MonkeyPatch, platform: str, kind: Unit
) -> None:
    if sys.platform != "linux" and platform == "linux":
        pytest.skip("timers are files only on Linux")
    monkeypatch.setattr(sys, "platform", platform)
    made = new_timer(lambda: None)
    assert type(made) is kind
    made.close()
