"""All connections of one worker: how they come, what they do meanwhile, how they go."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from typing import Final

from relay.loadtest.generator.chunk_decoder import Reader
from relay.loadtest.generator.connector import Connector, cause
from relay.loadtest.generator.delivery_checker import Checker, Receiver
from relay.loadtest.generator.frame_codec import WireError
from relay.loadtest.generator.latency_recorder import Recorder
from relay.loadtest.generator.limits import source_of
from relay.loadtest.generator.load_publisher import Publisher, Punctuality
from relay.loadtest.generator.messages import Assignment
from relay.loadtest.generator.virtual_client import Client
from relay.loadtest.plan.connections import Role, cast, stops_reading
from relay.loadtest.plan.dialect import fill
from relay.loadtest.plan.plan import Act
from relay.loadtest.result.time_histogram import Buckets

PENDING: Final = 256
"""Connections of the ramp that one worker makes at the same time; further ones wait, which shows in the rate."""

FIRST_DELAY: Final = 0.2
LONGEST_DELAY: Final = 5.0
MAX_CAUSES: Final = 50
OTHER_CAUSES: Final = "other causes"
"""Stands for all that differ from the first so many."""

CLOSE_SECONDS: Final = 5.0
"""Time that a server has to end a connection after the client's close frame."""


class Crowd:
    """The connections of one worker.

    Args:
        assignment: of the worker.
        epoch: ns of the monotonic clock at the run's start.

    Attributes:
        connected: clients that are subscribed now.
        sessions: connections made so far.
        ramped: when the last connection of the ramp was made, ns since the run's start.
        punctuality: of the publishers.
        delivered_by_second: second → deliveries that were collected in it.
        storm: of the storm its moment and how long it lasted, in ns; -1: until now not all are back.
    """

    def __init__(self, assignment: Assignment, epoch: int) -> None:
        plan = self._plan = assignment.plan
        self.epoch = epoch
        self.checker = Checker()
        self.recorder = Recorder(epoch)
        self.handshakes = Buckets()
        self.storm_handshakes = Buckets()
        self.bytes_received = self.pings = self.connected = self.sessions = self.ramped = 0
        self.punctuality = Punctuality()
        self.delivered_by_second: Counter[int] = Counter()
        self.publishers: dict[int, Publisher] = {}
        self.storm: tuple[int, int] | None = None
        self._run = assignment.run
        self._destinations = assignment.destinations
        self._connector = Connector(plan.dialect.headers, plan.connect_timeout)
        self._places: dict[Client, Role] = {}
        self._ends: dict[Client, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._churning: asyncio.Task[None] | None = None
        for role in cast(plan, assignment.worker):
            self._add(role)
        speakers = {publisher: publisher % plan.channels for publisher in range(plan.publishers)}
        self.reader = Reader(assignment.run, plan.size, speakers, plan.dialect)

    @property
    def receivers(self) -> list[Receiver]:
        """What each connection has heard."""
        return [client.receiver for client in self._places]

    @property
    def busy(self) -> bool:
        """Whether somebody is about to connect, or about to leave."""
        return bool(self._tasks)

    def joined(self, client: Client) -> None:
        """Take note that a client is subscribed."""
        self.connected += 1
        self.sessions += 1
        if self.sessions <= len(self._places):
            self.ramped = time.monotonic_ns() - self.epoch

    def left(self, client: Client, reason: str) -> None:
        """Take note that a session has ended, and why; empty: the client wanted it."""
        self.connected -= 1
        faults = self.checker.faults
        if (end := self._ends.pop(client, None)) is not None and not end.done():
            end.set_result(None)
        if not reason:
            return
        if client.receiver.excused:
            _count(faults.slow_closed, reason)
        elif self._plan.reconnect:
            _count(faults.returned, reason)
            self._spawn(self._come_back(client))
        else:
            _count(faults.closed, reason)

    def collect(self) -> None:
        """Count the latencies of all that was read."""
        count = self.recorder.record(self.reader.collect())
        if count:
            self.delivered_by_second[(time.monotonic_ns() - self.epoch) // 1_000_000_000] += count

    def ramp(self) -> None:
        """Begin to connect everybody, at the plan's pace."""
        self._spawn(self._ramp())

    def act(self) -> None:
        """Begin with what the plan has the clients do."""
        match self._plan.act:
            case Act.STORM:
                self._spawn(self._storm())
            case Act.CHURN:
                self._churning = self._spawn(self._churn())
            case Act.SLOW:
                for client, role in self._places.items():
                    if role.publisher is None and stops_reading(self._plan, role.number):
                        client.stop_reading()

    def rest(self) -> None:
        """End that: begin no more sessions but for those who are away."""
        if self._churning is not None:
            self._churning.cancel()
        if self._plan.act is Act.SLOW:
            for client in self._places:
                if client.receiver.excused:
                    client.read_on()

    def count_absent(self) -> None:
        """Count who should be there and isn't, at the run's end."""
        if self._plan.reconnect and (absent := sum(client.receiver.away for client in self._places)):
            self.checker.faults.closed["did not come back"] = absent

    async def close(self) -> None:
        """End all connections at once, and whatever is still going on."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for client in self._places:
            client.cut()
        # The transports end in the loop's next round.
        await asyncio.sleep(0)

    def _add(self, role: Role) -> None:
        plan, dialect = self._plan, self._plan.dialect
        names = self._names(role)
        publisher = None
        if role.publisher is not None:
            template = fill(dialect.publish, {name: value for name, value in names.items() if name != "payload"})
            publisher = Publisher(
                role.publisher, role.channel, self._run, plan.size, template, self.epoch, self.punctuality
            )
            self.publishers[role.publisher] = publisher
        receiver = Receiver(role.number, plan.urls[role.url], names["channel"], role.hears)
        client = Client(
            self,
            receiver,
            [fill(frame, names).encode() for frame in dialect.subscribe],
            [fill(frame, names).encode() for _, frame in dialect.answers],
            dialect.ready is not None,
            publisher,
        )
        self._places[client] = role

    def _names(self, role: Role) -> dict[str, str]:
        run = f"{self._run:06x}"
        return {
            "url": self._plan.urls[role.url].rstrip("/"),
            "channel": f"loadtest-{run}-{role.channel}",
            "client": str(role.number),
            "run": run,
        }

    async def _connect(self, client: Client) -> int:
        """Begin one session; return how long it took in µs.

        Raises:
            OSError, WireError, TimeoutError: it failed.
        """
        role, plan = self._places[client], self._plan
        source = source_of(role.number, plan.source_addresses)
        url = fill(plan.dialect.url, self._names(role))
        taken = await self._connector.connect(client, url, self._destinations[role.url], source)
        self.handshakes.add_one(taken // 1000)
        return taken // 1000

    async def _first(self, client: Client, handshakes: Buckets | None = None) -> None:
        try:
            taken = await self._connect(client)
            if handshakes is not None:
                handshakes.add_one(taken)
        except (OSError, WireError) as error:
            _count(self.checker.faults.refused, cause(error))
            # Messages may be flowing when it is there at last: what came before is missed.
            client.receiver.leave()
            if self._plan.reconnect:
                await self._come_back(client)

    async def _ramp(self) -> None:
        """Connect one after the other, none earlier than its time."""
        interval = self._plan.workers / self._plan.connect_rate
        begin, room = time.monotonic(), asyncio.Semaphore(PENDING)
        for number, client in enumerate(self._places):
            early = begin + number * interval - time.monotonic()
            # Loops wait in whole milliseconds: several connections share a wait when many come.
            if early > 0.002:
                await asyncio.sleep(early)
            await room.acquire()
            self._spawn(self._first(client)).add_done_callback(lambda _: room.release())

    async def _come_back(self, client: Client) -> None:
        """Connect again until it works, with growing delays and jitter, as clients should."""
        longest = FIRST_DELAY
        while True:
            await asyncio.sleep(random.uniform(0, longest))
            try:
                await self._connect(client)
                return
            except (OSError, WireError):
                longest = min(2 * longest, LONGEST_DELAY)

    async def _storm(self) -> None:
        """Cut all clients that only listen, and have them all back at once."""
        clients = [client for client, role in self._places.items() if role.publisher is None and client.transport]
        moment = time.monotonic_ns()
        self.storm = (moment - self.epoch, -1)
        for client in clients:
            client.cut()
        before = Counter(self.checker.faults.refused)
        await asyncio.gather(*(self._first(client, self.storm_handshakes) for client in clients))
        if Counter(self.checker.faults.refused) == before:
            self.storm = (moment - self.epoch, time.monotonic_ns() - moment)

    async def _churn(self) -> None:
        """End sessions and begin new ones, at an even pace, one client after the other."""
        interval = self._plan.workers / self._plan.churn
        begin = time.monotonic()
        for number, client in enumerate(self._around()):
            await asyncio.sleep(max(0.0, begin + number * interval - time.monotonic()))
            self._spawn(self._change(client))

    def _around(self) -> Iterator[Client]:
        clients = [client for client, role in self._places.items() if role.publisher is None]
        while clients:
            yield from clients

    async def _change(self, client: Client) -> None:
        """End one session politely and begin another."""
        if client.receiver.away or client in self._ends:
            return
        end = self._ends[client] = asyncio.get_running_loop().create_future()
        # What arrives between the close frame and the end counts, what doesn't is missed, not lost.
        client.close()
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await end
        except TimeoutError:
            _count(self.checker.faults.closed, "close not answered")
            client.cut()
        await self._first(client)

    def _spawn(self, work: Coroutine[object, object, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _count(counts: dict[str, int], reason: str) -> None:
    # The words are the server's: with another reason for each session they must not fill our memory.
    if reason not in counts and len(counts) >= MAX_CAUSES:
        reason = OTHER_CAUSES
    counts[reason] = counts.get(reason, 0) + 1
