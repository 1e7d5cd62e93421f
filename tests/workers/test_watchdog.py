"""Silence is what the supervisor has seen of it, and a worker that owes no answer is not silent."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import pytest

from relay.workers.watchdog import LOOK_SECONDS, Watch
from relay.workers.worker import Worker


@dataclass
class Watched:
    """What a watch sees of a worker, and does to it."""

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


def watch(*workers: Watched, timeout_seconds: float = 5.0) -> Watch:
    """Return a watch over workers."""
    made = Watch(timeout_seconds)
    made.workers = cast("list[Worker]", list(workers))
    return made


def look(at: Watch, seconds: float) -> None:
    """Let so many seconds of looks go by."""
    for _ in range(round(seconds / LOOK_SECONDS)):
        at.look(LOOK_SECONDS)


def test_a_silent_worker_first_gets_no_new_clients_and_is_killed_once() -> None:
    hung, other = Watched(), Watched(owes_answer=False)
    at = watch(hung, other)
    look(at, 1.8)
    assert hung.done == []
    look(at, 0.2)
    assert hung.done == ["stop"]
    look(at, 2.8)
    assert hung.done == ["stop"]
    look(at, 5)
    assert hung.done == ["stop", "kill"]
    assert other.done == []


def test_an_answer_makes_all_good() -> None:
    hung, other = Watched(), Watched(owes_answer=False)
    at = watch(hung, other)
    look(at, 4)
    hung.owes_answer = False
    look(at, 0.1)
    hung.owes_answer = True
    look(at, 4)
    assert hung.done == ["stop", "resume", "stop"]


def test_a_pause_of_the_whole_machine_is_one_look() -> None:
    """However long it was: the supervisor stood still, too. It counts as two ordinary ones."""
    late, other = Watched(), Watched()
    at = watch(late, other)
    look(at, 1)
    at.look(3600)  # the first one after the pause
    late.owes_answer = other.owes_answer = False
    look(at, 1)
    assert late.done == other.done == []


@pytest.mark.parametrize(("timeout_seconds", "stopped_after"), [(1.0, 0.5), (3600.0, 2.0)])
def test_new_clients_go_elsewhere_in_good_time(timeout_seconds: float, stopped_after: float) -> None:
    hung, other = Watched(), Watched(owes_answer=False)
    at = watch(hung, other, timeout_seconds=timeout_seconds)
    look(at, stopped_after + LOOK_SECONDS)
    assert hung.done == ["stop"]


def test_one_worker_always_accepts() -> None:
    first, second = Watched(), Watched()
    look(watch(first, second), 3)
    assert (first.done, second.done) == (["stop"], [])


def test_clients_wait_for_a_silent_worker_only_as_long_as_there_is_no_other() -> None:
    """When both were silent, one goes on accepting; if that is the one that hangs, its clients wait for nothing."""
    slow, hung = Watched(), Watched()
    at = watch(slow, hung)
    look(at, 3)
    assert (slow.accepting, hung.accepting) == (False, True)
    slow.owes_answer = False
    look(at, 2 * LOOK_SECONDS)
    assert (slow.accepting, hung.accepting) == (True, False)
    assert hung.done == ["stop"]
