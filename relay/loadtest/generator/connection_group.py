"""What the connections of one worker have in common, whatever they speak: counters, tasks, and the pace of the ramp."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from typing import Final

from relay.loadtest.generator.chunk_decoder import ChunkDecoder
from relay.loadtest.generator.commands import Assignment
from relay.loadtest.generator.delivery_checker import DeliveryChecker, Receiver
from relay.loadtest.generator.latency_recorder import LatencyRecorder
from relay.loadtest.generator.load_publisher import SendStatistics
from relay.loadtest.generator.pacer import PacedPublisher
from relay.loadtest.result.time_histogram import TimeHistogram

PENDING: Final = 256
"""Connections of the ramp that a worker makes at the same time; further ones wait, which shows in the connect rate."""

MAX_CAUSES: Final = 50
OTHER_CAUSES: Final = "other causes"
"""Stands for all causes after the first `MAX_CAUSES` different ones."""


class ConnectionGroup(ABC):
    """All connections of one worker, publishers included.

    Args:
        assignment: assignment of the worker.
        epoch: ns of the monotonic clock at the run's start.

    Attributes:
        publishers: number of a publisher → publisher.
        connected: clients that are subscribed now.
        sessions: connections made so far.
        resumed: sessions that went on where the one before had ended.
        notices: how often a client that came back was told that it had missed something.
        ramped: when the last connection of the ramp was made, ns since the run's start.
        send_statistics: of the publishers.
        delivered_by_second: second → deliveries that were counted in it.
        storm: moment of the storm and how long it lasted, in ns; a length of -1: not all clients are back yet.
    """

    publishers: Mapping[int, PacedPublisher]

    def __init__(self, assignment: Assignment, epoch: int) -> None:
        plan = self._plan = assignment.plan
        self.epoch = epoch
        self.checker = DeliveryChecker()
        self.recorder = LatencyRecorder(epoch)
        self.handshakes = TimeHistogram()
        self.storm_handshakes = TimeHistogram()
        self.bytes_received = self.pings = self.connected = self.sessions = self.ramped = 0
        self.resumed = self.notices = 0
        self.send_statistics = SendStatistics()
        self.delivered_by_second: Counter[int] = Counter()
        self.storm: tuple[int, int] | None = None
        self._run = assignment.run
        self._addresses = assignment.addresses
        self._tasks: set[asyncio.Task[None]] = set()
        channels = {publisher: publisher % plan.channels for publisher in range(plan.publishers)}
        self.decoder = ChunkDecoder(assignment.run, plan.size, channels, plan.dialect)

    @property
    @abstractmethod
    def receivers(self) -> list[Receiver]:
        """The delivery record of each connection that hears others."""

    @property
    @abstractmethod
    def busy(self) -> bool:
        """Whether a client is about to connect or to leave."""

    @abstractmethod
    def start_act(self) -> None:
        """Begin with what the plan has the clients do while messages flow."""

    @abstractmethod
    def stop_act(self) -> None:
        """End the act: only clients that are away begin another session."""

    @abstractmethod
    async def close(self) -> None:
        """Reset all connections, and cancel all tasks."""

    @abstractmethod
    def _arrivals(self) -> Iterator[Callable[[], Coroutine[object, object, None]]]:
        """Yield for each connection of the ramp what makes it, done when it is made or has failed."""

    def ramp(self) -> None:
        """Begin to open all connections, at the plan's connect rate."""
        self._spawn(self._ramp())

    def collect(self) -> None:
        """Count the latencies of all chunks received so far."""
        count = self.recorder.record(self.decoder.collect())
        if count:
            self.delivered_by_second[(time.monotonic_ns() - self.epoch) // 1_000_000_000] += count

    def count_absent(self) -> None:
        """Count the clients that have not reconnected by the run's end."""
        if self._plan.reconnect and (absent := sum(receiver.away for receiver in self.receivers)):
            self.checker.faults.closed["did not come back"] = absent

    def _count_session(self, wanted: int) -> None:
        """Count a client that has been subscribed.

        Args:
            wanted: connections of the ramp.
        """
        self.connected += 1
        self.sessions += 1
        if self.sessions <= wanted:
            self.ramped = time.monotonic_ns() - self.epoch

    async def _ramp(self) -> None:
        """Open one connection after the other, none before its time."""
        interval = self._plan.workers / self._plan.connect_rate
        begin, room = time.monotonic(), asyncio.Semaphore(PENDING)
        for number, arrival in enumerate(self._arrivals()):
            early = begin + number * interval - time.monotonic()
            # Loops wait in whole milliseconds: at a high rate, several connections share one wait.
            if early > 0.002:
                await asyncio.sleep(early)
            await room.acquire()
            self._spawn(arrival()).add_done_callback(lambda _: room.release())

    async def _cancel_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def count_cause(counts: dict[str, int], reason: str) -> None:
    """Count a cause. A different one for each session, in the words of the server, must not fill our memory."""
    if reason not in counts and len(counts) >= MAX_CAUSES:
        reason = OTHER_CAUSES
    counts[reason] = counts.get(reason, 0) + 1
