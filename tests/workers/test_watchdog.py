"""Workers that don't answer: only the silence that the watchdog has seen itself counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from relay.metrics.counters import Counters
from relay.workers.watchdog import CHECK_SECONDS, Watchdog
from relay.workers.worker import Worker


@dataclass
class Watched:
    """The part of a worker that a watchdog uses; notes what is done to it."""

    number: int = 1
    owes_answer: bool = True
    silent_seconds: float = 0.0
    accepting: bool = True
    done: list[str] = field(default_factory=list)

    def stop_listening(self) -> None:
        self.accepting = False
        self.done.append("stop")

    def resume_listening(self) -> None:
        if not self.accepting:
            self.accepting = True
            self.done.append("resume")

    def kill(self) -> None:
        self.done.append("kill")


COUNTERS = Counters()
"""Of those who don't look at them."""


def watchdog_over(*workers: Watched, timeout_seconds: float = 5.0, counters: Counters = COUNTERS) -> Watchdog:
    """Return a watchdog over workers."""
    made = Watchdog(counters, timeout_seconds)
    made.workers = cast("list[Worker]", list(workers))
    return made


def check(watchdog: Watchdog, seconds: float) -> None:
    """Check as often as in so many seconds."""
    for _ in range(round(seconds / CHECK_SECONDS)):
        watchdog.check(CHECK_SECONDS)


def test_a_silent_worker_first_gets_no_new_clients_and_is_killed_once() -> None:
    hung, other = Watched(), Watched(owes_answer=False)
    watchdog = watchdog_over(hung, other)
    check(watchdog, 1.8)
    assert hung.done == []
    check(watchdog, 0.2)
    assert hung.done == ["stop"]
    check(watchdog, 2.8)
    assert hung.done == ["stop"]
    check(watchdog, 5)
    assert hung.done == ["stop", "kill"]
    assert other.done == []


def test_an_answer_ends_the_silence() -> None:
    hung, other, counters = Watched(), Watched(owes_answer=False), Counters()
    watchdog = watchdog_over(hung, other, counters=counters)
    check(watchdog, 1)
    assert counters.worker_silences == 0
    check(watchdog, 3)
    assert counters.worker_silences == 1
    hung.owes_answer = False
    check(watchdog, 0.1)
    hung.owes_answer = True
    check(watchdog, 4)
    assert counters.worker_silences == 2
    assert hung.done == ["stop", "resume", "stop"]


def test_a_pause_of_the_whole_machine_is_one_check() -> None:
    """However long it was: the supervisor stood still, too. It counts as two ordinary ones."""
    late, other = Watched(), Watched()
    watchdog = watchdog_over(late, other)
    check(watchdog, 1)
    watchdog.check(3600)  # the first one after the pause
    late.owes_answer = other.owes_answer = False
    check(watchdog, 1)
    assert late.done == other.done == []


@pytest.mark.parametrize(("timeout_seconds", "stopped_after"), [(1.0, 0.5), (3600.0, 2.0)])
def test_new_clients_go_to_other_workers_in_good_time(timeout_seconds: float, stopped_after: float) -> None:
    hung, other = Watched(), Watched(owes_answer=False)
    watchdog = watchdog_over(hung, other, timeout_seconds=timeout_seconds)
    check(watchdog, stopped_after + CHECK_SECONDS)
    assert hung.done == ["stop"]


def test_one_worker_always_accepts() -> None:
    first, second = Watched(), Watched()
    check(watchdog_over(first, second), 3)
    assert (first.done, second.done) == (["stop"], [])


def test_clients_wait_for_a_silent_worker_only_as_long_as_there_is_no_other() -> None:
    """When both were silent, one goes on accepting; when that one hangs, its clients would wait for nothing."""
    slow, hung = Watched(), Watched()
    watchdog = watchdog_over(slow, hung)
    check(watchdog, 3)
    assert (slow.accepting, hung.accepting) == (False, True)
    slow.owes_answer = False
    check(watchdog, 2 * CHECK_SECONDS)
    assert (slow.accepting, hung.accepting) == (True, False)
    assert hung.done == ["stop"]
