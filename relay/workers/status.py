"""The status of all workers combined: their numbers added up, their problems with the numbers of the workers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from relay.metrics.counters import Counters
from relay.metrics.snapshot import Snapshot
from relay.workers.messages import CombinedStatus, WorkerStatus

NO_ANSWER = "it does not answer"
NOT_RUNNING = "it is not running"


class EndedProcesses:
    """The totals of worker processes that have ended: without them, totals would go down when one is replaced.

    Args:
        started_at: when the supervisor started, in seconds since 1970.

    Attributes:
        counters: the sum of their counters.
        cpu_seconds: processor time that they used.
    """

    def __init__(self, started_at: float = 0.0) -> None:
        self.started_at = started_at
        self.counters = Counters()
        self.cpu_seconds = 0.0

    def add(self, last: Snapshot) -> None:
        """Add the totals of one process.

        Args:
            last: its last known numbers; the clients that it had then are counted as closed without a close frame.
        """
        counters = deepcopy(last.counters)
        counters.connections_closed[1006] += counters.connections_open
        counters.connections_open = counters.event_streams_open = counters.polls_open = 0
        counters.transports_open.clear()
        counters.bus_round_trip_seconds = 0.0
        counters.issuer_up, counters.issuer_keys_at = {}, {}
        self.counters.add(counters)
        self.cpu_seconds += last.gauges.cpu_seconds


def combine(
    statuses: Mapping[int, WorkerStatus | None], unresponsive: set[int], ended: EndedProcesses
) -> CombinedStatus:
    """Return the status of all workers together.

    Args:
        statuses: the last known status of each worker, by its number; None when it isn't running.
        unresponsive: workers that don't answer. They still have their clients, so their last numbers count.
        ended: totals of earlier processes.
    """
    problems: dict[int, list[str]] = {}
    notes = {number: [] if status is None else status.notes for number, status in statuses.items()}
    snapshot: Snapshot | None = None
    for number, status in statuses.items():
        if status is None:
            problems[number] = [NO_ANSWER if number in unresponsive else NOT_RUNNING]
            continue
        problems[number] = [NO_ANSWER] if number in unresponsive else status.problems
        if snapshot is None:
            snapshot = deepcopy(status.snapshot)
        else:
            snapshot.add(status.snapshot)
    snapshot = snapshot or Snapshot()
    snapshot.counters.add(ended.counters)
    gauges = snapshot.gauges
    gauges.cpu_seconds += ended.cpu_seconds
    gauges.started_at = ended.started_at
    gauges.processes = len([status for status in statuses.values() if status is not None])
    gauges.silent_processes = len(unresponsive)
    reasons = [*name_workers(problems), *_different_servers(statuses)]
    gauges.ready = int(not reasons)
    return CombinedStatus(reasons, snapshot, name_workers(notes))


def _different_servers(statuses: Mapping[int, WorkerStatus | None]) -> list[str]:
    """Return a problem when workers are on different servers of the bus: then they don't hear each other."""
    workers: dict[str, list[int]] = {}
    for number, status in statuses.items():
        for run_id in status.snapshot.gauges.bus_servers if status is not None else ():
            workers.setdefault(run_id, []).append(number)
    if len(workers) < 2:
        return []
    named = (f"{', '.join(map(str, numbers))} on {run_id[:8]}" for run_id, numbers in workers.items())
    return [f"workers use different Redis servers (by run id): {'; '.join(named)}"]


def name_workers(said: Mapping[int, list[str]]) -> list[str]:
    """Return each text once, with the numbers of the workers that say it; without numbers when all say it.

    Args:
        said: the problems, or the notes, of each worker.
    """
    workers: dict[str, list[int]] = {}
    for number, texts in said.items():
        for text in texts:
            workers.setdefault(text, []).append(number)
    named = []
    for text, numbers in workers.items():
        prefix = f"worker{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}: "
        named.append(text if len(numbers) == len(said) else prefix + text)
    return named
