"""Many processes as one: their numbers added up, their problems with their names; pure."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from relay.metrics.counters import Counters
from relay.metrics.snapshot import Snapshot
from relay.workers.messages import State, Whole

NO_ANSWER = "it does not answer"
NOT_RUNNING = "it is not running"


class Ended:
    """What processes have counted that are no more: totals must never go down.

    Args:
        started_at: when the first of them all started, the supervisor, in seconds since 1970.

    Attributes:
        counters: their sum.
        cpu_seconds: processor time that they used.
    """

    def __init__(self, started_at: float = 0.0) -> None:
        self.started_at = started_at
        self.counters = Counters()
        self.cpu_seconds = 0.0

    def add(self, last: Snapshot) -> None:
        """Take over from a process that has ended.

        Args:
            last: what was last heard from it; the clients that it had then are gone without a close frame.
        """
        counters = deepcopy(last.counters)
        counters.connections_closed[1006] += counters.connections_open
        counters.connections_open = counters.event_streams_open = counters.polls_open = 0
        counters.bus_round_trip_seconds = 0.0
        self.counters.add(counters)
        self.cpu_seconds += last.gauges.cpu_seconds


def make_whole(states: Mapping[int, State | None], silent: set[int], ended: Ended) -> Whole:
    """Return how all workers are together.

    Args:
        states: what was last heard from each worker, by its number; None when it isn't running.
        silent: those that don't answer. They still have their clients, so their last numbers count.
        ended: what earlier processes have counted.
    """
    problems: dict[int, list[str]] = {}
    snapshot: Snapshot | None = None
    for number, state in states.items():
        if state is None:
            problems[number] = [NO_ANSWER if number in silent else NOT_RUNNING]
            continue
        problems[number] = [NO_ANSWER] if number in silent else state.problems
        if snapshot is None:
            snapshot = deepcopy(state.snapshot)
        else:
            snapshot.add(state.snapshot)
    snapshot = snapshot or Snapshot()
    snapshot.counters.add(ended.counters)
    gauges = snapshot.gauges
    gauges.cpu_seconds += ended.cpu_seconds
    gauges.started_at = ended.started_at
    gauges.processes = len([state for state in states.values() if state is not None])
    gauges.silent_processes = len(silent)
    reasons = [*name_problems(problems), *_name_servers(states)]
    gauges.ready = int(not reasons)
    return Whole(reasons, snapshot)


def _name_servers(states: Mapping[int, State | None]) -> list[str]:
    """Say which workers are on which server of the bus, if that is more than one: they don't hear each other."""
    holders: dict[str, list[int]] = {}
    for number, state in states.items():
        for run_id in state.snapshot.gauges.bus_servers if state is not None else ():
            holders.setdefault(run_id, []).append(number)
    if len(holders) < 2:
        return []
    named = (f"{', '.join(map(str, numbers))} on {run_id[:8]}" for run_id, numbers in holders.items())
    return [f"workers use different Redis servers (by run id): {'; '.join(named)}"]


def name_problems(problems: Mapping[int, list[str]]) -> list[str]:
    """Return the problems of workers, each with the numbers of those that have it; without when all have it."""
    holders: dict[str, list[int]] = {}
    for number, texts in problems.items():
        for text in texts:
            holders.setdefault(text, []).append(number)
    named = []
    for text, numbers in holders.items():
        who = f"worker{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}: "
        named.append(text if len(numbers) == len(problems) else who + text)
    return named
