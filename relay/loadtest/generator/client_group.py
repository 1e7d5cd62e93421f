"""The virtual clients of one worker: how they connect, what they do while messages flow, how they leave."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from typing import Final

from relay.loadtest.generator.chunk_decoder import ChunkDecoder
from relay.loadtest.generator.commands import Assignment
from relay.loadtest.generator.connector import Connector, cause
from relay.loadtest.generator.delivery_checker import DeliveryChecker, Receiver
from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.latency_recorder import LatencyRecorder
from relay.loadtest.generator.limits import source_of
from relay.loadtest.generator.load_publisher import LoadPublisher, SendStatistics
from relay.loadtest.generator.virtual_client import VirtualClient
from relay.loadtest.plan.connections import PlannedConnection, planned_connections, stops_reading
from relay.loadtest.plan.plan import Act, fill_template
from relay.loadtest.result.time_histogram import TimeHistogram

PENDING: Final = 256
"""Connections of the ramp that a worker makes at the same time; further ones wait, which shows in the connect rate."""

FIRST_DELAY: Final = 0.2
LONGEST_DELAY: Final = 5.0
MAX_CAUSES: Final = 50
OTHER_CAUSES: Final = "other causes"
"""Stands for all causes after the first `MAX_CAUSES` different ones."""

CLOSE_SECONDS: Final = 5.0
"""Time that a server has to end a connection after the client's close frame."""


class ClientGroup:
    """All connections of one worker, publishers included.

    Args:
        assignment: assignment of the worker.
        epoch: ns of the monotonic clock at the run's start.

    Attributes:
        publishers: number of a publisher → publisher.
        connected: clients that are subscribed now.
        sessions: connections made so far.
        ramped: when the last connection of the ramp was made, ns since the run's start.
        send_statistics: of the publishers.
        delivered_by_second: second → deliveries that were counted in it.
        storm: moment of the storm and how long it lasted, in ns; a length of -1: not all clients are back yet.
    """

    def __init__(self, assignment: Assignment, epoch: int) -> None:
        plan = self._plan = assignment.plan
        self.epoch = epoch
        self.checker = DeliveryChecker()
        self.recorder = LatencyRecorder(epoch)
        self.handshakes = TimeHistogram()
        self.storm_handshakes = TimeHistogram()
        self.bytes_received = self.pings = self.connected = self.sessions = self.ramped = 0
        self.send_statistics = SendStatistics()
        self.delivered_by_second: Counter[int] = Counter()
        self.publishers: dict[int, LoadPublisher] = {}
        self.storm: tuple[int, int] | None = None
        self._run = assignment.run
        self._addresses = assignment.addresses
        self._connector = Connector(plan.dialect.headers, plan.connect_timeout, plan.trust)
        self._clients: dict[VirtualClient, PlannedConnection] = {}
        self._ends: dict[VirtualClient, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._churning: asyncio.Task[None] | None = None
        for planned in planned_connections(plan, assignment.worker):
            self._add(planned)
        channels = {publisher: publisher % plan.channels for publisher in range(plan.publishers)}
        self.decoder = ChunkDecoder(assignment.run, plan.size, channels, plan.dialect)

    @property
    def receivers(self) -> list[Receiver]:
        """The delivery record of each connection."""
        return [client.receiver for client in self._clients]

    @property
    def busy(self) -> bool:
        """Whether a client is about to connect or to leave."""
        return bool(self._tasks)

    def joined(self, client: VirtualClient) -> None:
        """Count a client that has been subscribed."""
        self.connected += 1
        self.sessions += 1
        if self.sessions <= len(self._clients):
            self.ramped = time.monotonic_ns() - self.epoch

    def left(self, client: VirtualClient, reason: str) -> None:
        """Count a session that has ended; an empty reason: the client ended it."""
        self.connected -= 1
        faults = self.checker.faults
        if (end := self._ends.pop(client, None)) is not None and not end.done():
            end.set_result(None)
        if not reason:
            return
        if client.receiver.exempt:
            _count(faults.slow_closed, reason)
        elif self._plan.reconnect:
            _count(faults.returned, reason)
            self._spawn(self._reconnect(client))
        else:
            _count(faults.closed, reason)

    def collect(self) -> None:
        """Count the latencies of all chunks received so far."""
        count = self.recorder.record(self.decoder.collect())
        if count:
            self.delivered_by_second[(time.monotonic_ns() - self.epoch) // 1_000_000_000] += count

    def ramp(self) -> None:
        """Begin to open all connections, at the plan's connect rate."""
        self._spawn(self._ramp())

    def start_act(self) -> None:
        """Begin with what the plan has the clients do while messages flow."""
        match self._plan.act:
            case Act.STORM:
                self._spawn(self._storm())
            case Act.CHURN:
                self._churning = self._spawn(self._churn())
            case Act.SLOW:
                for client, planned in self._clients.items():
                    if planned.publisher is None and stops_reading(self._plan, planned.number):
                        client.stop_reading()

    def stop_act(self) -> None:
        """End the act: only clients that are away begin another session."""
        if self._churning is not None:
            self._churning.cancel()
        if self._plan.act is Act.SLOW:
            for client in self._clients:
                if client.receiver.exempt:
                    client.resume_reading()

    def count_absent(self) -> None:
        """Count the clients that have not reconnected by the run's end."""
        if self._plan.reconnect and (absent := sum(client.receiver.away for client in self._clients)):
            self.checker.faults.closed["did not come back"] = absent

    async def close(self) -> None:
        """Reset all connections, and cancel all tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._clients:
            client.reset()
        # The transports end in the loop's next iteration.
        await asyncio.sleep(0)

    def _add(self, planned: PlannedConnection) -> None:
        plan, dialect = self._plan, self._plan.dialect
        values = self._template_values(planned)
        publisher = None
        if planned.publisher is not None:
            template = fill_template(dialect.publish, values)
            publisher = LoadPublisher(
                planned.publisher, planned.channel, self._run, plan.size, template, self.epoch, self.send_statistics
            )
            self.publishers[planned.publisher] = publisher
        receiver = Receiver(planned.number, plan.urls[planned.url], values["channel"], planned.hears)
        client = VirtualClient(
            self,
            receiver,
            [fill_template(frame, values).encode() for frame in dialect.subscribe],
            [fill_template(frame, values).encode() for _, frame in dialect.answers],
            dialect.ready is not None,
            publisher,
        )
        self._clients[client] = planned

    def _template_values(self, planned: PlannedConnection) -> dict[str, str]:
        run = f"{self._run:06x}"
        return {
            "url": self._plan.urls[planned.url].rstrip("/"),
            "channel": f"loadtest-{run}-{planned.channel}",
            "client": str(planned.number),
            "run": run,
        }

    async def _connect(self, client: VirtualClient) -> int:
        """Begin one session; return how long connecting took, in µs.

        Raises:
            OSError, RemoteProtocolError, TimeoutError: it failed.
        """
        planned, plan = self._clients[client], self._plan
        source = source_of(planned.number, plan.source_addresses)
        url = fill_template(plan.dialect.url, self._template_values(planned))
        taken = await self._connector.connect(client, url, self._addresses[planned.url], source)
        self.handshakes.add_one(taken // 1000)
        return taken // 1000

    async def _connect_once(self, client: VirtualClient, handshakes: TimeHistogram | None = None) -> None:
        """Begin one session and count a failure; afterwards only a plan with reconnects tries again."""
        try:
            taken = await self._connect(client)
            if handshakes is not None:
                handshakes.add_one(taken)
        except (OSError, RemoteProtocolError) as error:
            _count(self.checker.faults.refused, cause(error))
            # Messages may be flowing when it connects at last: those sent before are missed, not lost.
            client.receiver.leave()
            if self._plan.reconnect:
                await self._reconnect(client)

    async def _ramp(self) -> None:
        """Open one connection after the other, none before its time."""
        interval = self._plan.workers / self._plan.connect_rate
        begin, room = time.monotonic(), asyncio.Semaphore(PENDING)
        for number, client in enumerate(self._clients):
            early = begin + number * interval - time.monotonic()
            # Loops wait in whole milliseconds: at a high rate, several connections share one wait.
            if early > 0.002:
                await asyncio.sleep(early)
            await room.acquire()
            self._spawn(self._connect_once(client)).add_done_callback(lambda _: room.release())

    async def _reconnect(self, client: VirtualClient) -> None:
        """Try until it works, with growing delays and jitter, as clients should."""
        longest = FIRST_DELAY
        while True:
            await asyncio.sleep(random.uniform(0, longest))  # noqa: S311  # spreads load, guards nothing
            try:
                await self._connect(client)
                return
            except (OSError, RemoteProtocolError):
                longest = min(2 * longest, LONGEST_DELAY)

    async def _storm(self) -> None:
        """Reset all clients that only listen, and reconnect all of them at once."""
        clients = [client for client in self._listeners() if client.transport]
        moment = time.monotonic_ns()
        self.storm = (moment - self.epoch, -1)
        for client in clients:
            client.reset()
        before = Counter(self.checker.faults.refused)
        await asyncio.gather(*(self._connect_once(client, self.storm_handshakes) for client in clients))
        if Counter(self.checker.faults.refused) == before:
            self.storm = (moment - self.epoch, time.monotonic_ns() - moment)

    async def _churn(self) -> None:
        """End sessions and begin new ones at an even rate, one client after the other."""
        interval = self._plan.workers / self._plan.churn
        begin = time.monotonic()
        for number, client in enumerate(self._round_robin()):
            await asyncio.sleep(max(0.0, begin + number * interval - time.monotonic()))
            self._spawn(self._renew(client))

    def _round_robin(self) -> Iterator[VirtualClient]:
        clients = self._listeners()
        while clients:
            yield from clients

    def _listeners(self) -> list[VirtualClient]:
        return [client for client, planned in self._clients.items() if planned.publisher is None]

    async def _renew(self, client: VirtualClient) -> None:
        """End one session by a close frame, and begin another."""
        if client.receiver.away or client in self._ends:
            return
        end = self._ends[client] = asyncio.get_running_loop().create_future()
        # A message that arrives between the close frame and the end counts; one that doesn't is missed, not lost.
        client.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await end
        except TimeoutError:
            _count(self.checker.faults.closed, "close not answered")
            client.reset()
        await self._connect_once(client)

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _count(counts: dict[str, int], reason: str) -> None:
    # The server chooses these words: a different reason for each session must not fill our memory.
    if reason not in counts and len(counts) >= MAX_CAUSES:
        reason = OTHER_CAUSES
    counts[reason] = counts.get(reason, 0) + 1
