"""Watches the servers while they are under load: CPU and memory of their processes, and the use of their Redis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Self

from relay.loadtest.result.result import Process, RedisUse, Sample
from relay.loadtest.target.process_tree import ProcessTree
from relay.loadtest.target.redis_meter import RedisMeter, RedisMeterError, RedisReading


class Mark(Enum):
    """A moment of a run between which the use is told."""

    BEFORE = "before"
    """Nobody has connected yet."""
    SETTLED = "settled"
    """All have connected, and there are no messages yet."""
    MEASURE_BEGINS = "measure begins"
    MEASURE_ENDS = "measure ends"


@dataclass(slots=True)
class _Watched:
    """A process, what was seen of it, and what was seen at the marks."""

    tree: ProcessTree
    samples: list[Sample] = field(default_factory=list)
    marked: dict[Mark, Sample] = field(default_factory=dict)
    ended: bool = False


class Observer:
    """Watches processes and a Redis during one run. An async context manager: on entry all of them can be read.

    Args:
        pids: name of a process, such as "gateway 1" → its id.
        redis_url: of their Redis; None: not watched.
        redis_ca_file: PEM file of the authority to trust with a rediss:// URL.

    Raises:
        ProcessTreeError: a process can't be watched; when made.
        RedisMeterError: Redis can't be; when made and on entry.

    Attributes:
        notes: sentences without a full stop about what could no longer be watched.
    """

    def __init__(self, pids: Mapping[str, int], redis_url: str | None = None, redis_ca_file: str | None = None) -> None:
        self.notes: list[str] = []
        apart = frozenset(pids.values())
        self._watched = {name: _Watched(ProcessTree(pid, apart)) for name, pid in pids.items()}
        self._redis = None if redis_url is None else RedisMeter(redis_url, redis_ca_file)
        self._redis_marked: dict[Mark, tuple[float, RedisReading]] = {}

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

    def look(self, moment: float, connections: int) -> dict[str, Sample]:
        """Read all processes, about once a second; return name → what it uses. Those that have ended are left out.

        Args:
            moment: seconds since the run's start.
            connections: of the whole run, now.
        """
        return self._look(moment, connections, exact=False)

    async def mark(self, mark: Mark, moment: float, connections: int) -> None:
        """Read everything exactly, at a moment that counts; a later one of the same name replaces it.

        Args:
            mark: which moment it is.
            moment: seconds since the run's start.
            connections: of the whole run, now.
        """
        seen = self._look(moment, connections, exact=True)
        for name, watched in self._watched.items():
            watched.marked.pop(mark, None)
            if name in seen:
                watched.marked[mark] = seen[name]
        if self._redis is not None and mark in (Mark.MEASURE_BEGINS, Mark.MEASURE_ENDS):
            self._redis_marked.pop(mark, None)
            try:
                self._redis_marked[mark] = moment, await self._redis.read()
            except RedisMeterError as error:
                self.notes.append(str(error))

    def processes(self, deliveries: int) -> list[Process]:
        """Return what was seen of each process.

        Args:
            deliveries: in the measure phase, of all processes together.
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
        """Return what Redis used in the measure phase; None when it wasn't watched, or not all the time.

        Args:
            messages: published in it.
        """
        marked = [self._redis_marked.get(mark) for mark in (Mark.MEASURE_BEGINS, Mark.MEASURE_ENDS)]
        if self._redis is None or marked[0] is None or marked[1] is None:
            return None
        (began, begin), (ended, end) = marked[0], marked[1]
        seconds = ended - began
        if begin.run_id != end.run_id:
            self.notes.append(f"Redis at {self._redis.url} was restarted while it was measured")
            return None
        cpu = end.cpu_seconds - begin.cpu_seconds
        commands = max(0, end.commands - begin.commands - 1)  # the one that asked at the beginning
        return RedisUse(
            url=self._redis.url,
            cpu_share=cpu / seconds if seconds else 0.0,
            commands_rate=commands / seconds if seconds else 0.0,
            cpu_per_message=cpu / messages if messages else None,
        )

    def _look(self, moment: float, connections: int, *, exact: bool) -> dict[str, Sample]:
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


def _between(watched: _Watched, first: Mark, last: Mark) -> tuple[Sample, Sample] | None:
    """Return what was seen at two marks, or None when it was not there at one of them."""
    begin, end = watched.marked.get(first), watched.marked.get(last)
    return None if begin is None or end is None else (begin, end)


def _cpu_per_delivery(watched: _Watched, deliveries: int) -> float | None:
    pair = _between(watched, Mark.MEASURE_BEGINS, Mark.MEASURE_ENDS)
    if pair is None or deliveries <= 0:
        return None
    return (pair[1].cpu_seconds - pair[0].cpu_seconds) / deliveries


def _cpu_per_connection(watched: _Watched, processes: int) -> float | None:
    """Return CPU seconds per second and connection of this process; all processes have the same number."""
    pair = _between(watched, Mark.MEASURE_BEGINS, Mark.MEASURE_ENDS)
    if pair is None:
        return None
    begin, end = pair
    connections = (begin.connections + end.connections) / 2 / processes
    seconds = end.moment - begin.moment
    if connections <= 0 or seconds <= 0:
        return None
    return (end.cpu_seconds - begin.cpu_seconds) / seconds / connections


def _rss_per_connection(watched: _Watched, processes: int) -> float | None:
    """Return the bytes by which this process grew per connection of its own; all processes have the same number."""
    pair = _between(watched, Mark.BEFORE, Mark.SETTLED)
    if pair is None:
        return None
    connections = (pair[1].connections - pair[0].connections) / processes
    return (pair[1].rss_bytes - pair[0].rss_bytes) / connections if connections > 0 else None
