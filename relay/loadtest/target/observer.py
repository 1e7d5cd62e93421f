"""Observes the servers under load: CPU and memory of their processes, and the use of their Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Self

from relay.loadtest.result.result import Process, RedisUse, Sample
from relay.loadtest.target.process_tree import ProcessTree
from relay.loadtest.target.redis_meter import RedisCounters, RedisMeter, RedisMeterError


class Checkpoint(Enum):
    """A moment of a run at which use is read exactly; figures cover the time between two of them."""

    BEFORE = "before"
    """Before the first connection."""
    SETTLED = "settled"
    """All clients have connected, and there are no messages yet."""
    MEASURE_BEGINS = "measure begins"
    MEASURE_ENDS = "measure ends"


@dataclass(slots=True)
class _WatchedProcess:
    """A process with its samples, those at the checkpoints by themselves."""

    tree: ProcessTree
    samples: list[Sample] = field(default_factory=list)
    at_checkpoint: dict[Checkpoint, Sample] = field(default_factory=dict)
    ended: bool = False


class Observer:
    """Observes processes and a Redis during one run. An async context manager: on entry it checks that Redis answers.

    Args:
        pids: name of a process, such as "gateway 1" → process id.
        redis_url: URL of their Redis; None: not observed.
        redis_ca_file: PEM file of the authority to trust with a rediss:// URL.

    Raises:
        ProcessTreeError: a process can't be watched; raised by the constructor.
        RedisMeterError: Redis can't be watched; raised by the constructor and on entry.

    Attributes:
        notes: sentences without a full stop about processes, or a Redis, that could no longer be observed.
    """

    def __init__(self, pids: Mapping[str, int], redis_url: str | None = None, redis_ca_file: str | None = None) -> None:
        self.notes: list[str] = []
        apart = frozenset(pids.values())
        self._watched = {name: _WatchedProcess(ProcessTree(pid, apart)) for name, pid in pids.items()}
        self._redis = None if redis_url is None else RedisMeter(redis_url, redis_ca_file)
        self._redis_at: dict[Checkpoint, tuple[float, RedisCounters]] = {}

    async def __aenter__(self) -> Self:
        if self._redis is not None:
            try:
                await self._redis.read()
            except BaseException:
                await self._redis.close()
                raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._redis is not None:
            await self._redis.close()

    def sample(self, moment: float, connections: int) -> dict[str, Sample]:
        """Sample all processes, about once a second; return name → sample, without processes that have ended.

        Args:
            moment: seconds since the run's start.
            connections: connections of the whole run, now.
        """
        return self._sample(moment, connections, exact=False)

    async def checkpoint(self, checkpoint: Checkpoint, moment: float, connections: int) -> None:
        """Read everything exactly at a checkpoint; a later call for the same checkpoint replaces the earlier one.

        Args:
            checkpoint: which checkpoint it is.
            moment: seconds since the run's start.
            connections: connections of the whole run, now.
        """
        seen = self._sample(moment, connections, exact=True)
        for name, watched in self._watched.items():
            watched.at_checkpoint.pop(checkpoint, None)
            if name in seen:
                watched.at_checkpoint[checkpoint] = seen[name]
        if self._redis is not None and checkpoint in (Checkpoint.MEASURE_BEGINS, Checkpoint.MEASURE_ENDS):
            self._redis_at.pop(checkpoint, None)
            try:
                self._redis_at[checkpoint] = moment, await self._redis.read()
            except RedisMeterError as error:
                self.notes.append(str(error))

    def processes(self, deliveries: int) -> list[Process]:
        """Return the samples and figures of each process.

        Args:
            deliveries: deliveries in the measure phase, of all processes together.
        """
        return [
            Process(
                name=name,
                pid=watched.tree.pid,
                samples=watched.samples,
                cpu_per_delivery=_cpu_per_delivery(watched, deliveries),
                cpu_per_connection=_cpu_per_connection(watched, len(self._watched)),
                rss_per_connection=_rss_per_connection(watched, len(self._watched)),
            )
            for name, watched in self._watched.items()
        ]

    def redis_use(self, messages: int) -> RedisUse | None:
        """Return the use of Redis in the measure phase; None when it wasn't observed all the time.

        Args:
            messages: messages published in the measure phase.
        """
        first, last = self._redis_at.get(Checkpoint.MEASURE_BEGINS), self._redis_at.get(Checkpoint.MEASURE_ENDS)
        if self._redis is None or first is None or last is None:
            return None
        (began, begin), (ended, end) = first, last
        seconds = ended - began
        if begin.run_id != end.run_id:
            self.notes.append(f"Redis at {self._redis.url} was restarted while it was measured")
            return None
        cpu = end.cpu_seconds - begin.cpu_seconds
        commands = max(0, end.commands - begin.commands - 1)  # the first INFO counts itself
        return RedisUse(
            url=self._redis.url,
            cpu_share=cpu / seconds if seconds else 0.0,
            commands_rate=commands / seconds if seconds else 0.0,
            cpu_per_message=cpu / messages if messages else None,
        )

    def _sample(self, moment: float, connections: int, *, exact: bool) -> dict[str, Sample]:
        found = {}
        for name, watched in self._watched.items():
            reading = None if watched.ended else watched.tree.read(exact=exact)
            if reading is None:
                if not watched.ended:
                    watched.ended = True
                    self.notes.append(f"{name} (process {watched.tree.pid}) ended {moment:.1f} s after the start")
                continue
            cpu, resident = reading
            sample = Sample(moment=moment, cpu_seconds=cpu, rss_bytes=resident, connections=connections)
            watched.samples.append(sample)
            found[name] = sample
        return found


def _between(watched: _WatchedProcess, first: Checkpoint, last: Checkpoint) -> tuple[Sample, Sample] | None:
    """Return the samples at two checkpoints; None when the process was missing at one of them."""
    begin, end = watched.at_checkpoint.get(first), watched.at_checkpoint.get(last)
    return None if begin is None or end is None else (begin, end)


def _cpu_per_delivery(watched: _WatchedProcess, deliveries: int) -> float | None:
    pair = _between(watched, Checkpoint.MEASURE_BEGINS, Checkpoint.MEASURE_ENDS)
    if pair is None or deliveries <= 0:
        return None
    return (pair[1].cpu_seconds - pair[0].cpu_seconds) / deliveries


def _cpu_per_connection(watched: _WatchedProcess, processes: int) -> float | None:
    """Return CPU seconds per second and connection; each process has an equal share of the connections."""
    pair = _between(watched, Checkpoint.MEASURE_BEGINS, Checkpoint.MEASURE_ENDS)
    if pair is None:
        return None
    begin, end = pair
    connections = (begin.connections + end.connections) / 2 / processes
    seconds = end.moment - begin.moment
    if connections <= 0 or seconds <= 0:
        return None
    return (end.cpu_seconds - begin.cpu_seconds) / seconds / connections


def _rss_per_connection(watched: _WatchedProcess, processes: int) -> float | None:
    """Return by how many bytes the process grew per connection; each process has an equal share of the connections."""
    pair = _between(watched, Checkpoint.BEFORE, Checkpoint.SETTLED)
    if pair is None:
        return None
    connections = (pair[1].connections - pair[0].connections) / processes
    return (pair[1].rss_bytes - pair[0].rss_bytes) / connections if connections > 0 else None
