"""The virtual clients of one worker: how they connect, what they do while messages flow, how they leave."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from typing import Final

from relay.loadtest.generator.backoff import Backoff
from relay.loadtest.generator.commands import Assignment
from relay.loadtest.generator.connection_group import ConnectionGroup, count_cause
from relay.loadtest.generator.connector import Connector, cause
from relay.loadtest.generator.delivery_checker import Receiver
from relay.loadtest.generator.frame_codec import RemoteProtocolError
from relay.loadtest.generator.limits import source_of
from relay.loadtest.generator.load_publisher import LoadPublisher
from relay.loadtest.generator.virtual_client import VirtualClient
from relay.loadtest.plan.connections import PlannedConnection, channel_name, planned_connections, stops_reading
from relay.loadtest.plan.plan import Act, fill_template
from relay.loadtest.result.time_histogram import TimeHistogram

CLOSE_SECONDS: Final = 5.0
"""Time that a server has to end a connection after the client's close frame."""


class ClientGroup(ConnectionGroup):
    """All connections of one worker that speaks WebSocket, publishers included.

    Args:
        assignment: assignment of the worker.
        epoch: ns of the monotonic clock at the run's start.
    """

    def __init__(self, assignment: Assignment, epoch: int) -> None:
        super().__init__(assignment, epoch)
        plan = self._plan
        self.publishers: dict[int, LoadPublisher] = {}
        self._connector = Connector(plan.dialect.headers, plan.connect_timeout, plan.trust)
        self._clients: dict[VirtualClient, PlannedConnection] = {}
        self._ends: dict[VirtualClient, asyncio.Future[None]] = {}
        self._churning: asyncio.Task[None] | None = None
        for planned in planned_connections(plan, assignment.worker):
            self._add(planned)

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
        self._count_session(len(self._clients))

    def left(self, client: VirtualClient, reason: str) -> None:
        """Count a session that has ended; an empty reason: the client ended it."""
        self.connected -= 1
        faults = self.checker.faults
        if (end := self._ends.pop(client, None)) is not None and not end.done():
            end.set_result(None)
        if not reason:
            return
        if client.receiver.exempt:
            count_cause(faults.slow_closed, reason)
        elif self._plan.reconnect:
            count_cause(faults.returned, reason)
            self._spawn(self._reconnect(client))
        else:
            count_cause(faults.closed, reason)

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

    async def close(self) -> None:
        """Reset all connections, and cancel all tasks."""
        await self._cancel_tasks()
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
            "channel": channel_name(self._plan, self._run, planned.channel),
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
            count_cause(self.checker.faults.refused, cause(error))
            # Messages may be flowing when it connects at last: those sent before are missed, not lost.
            client.receiver.leave()
            if self._plan.reconnect:
                await self._reconnect(client)

    def _arrivals(self) -> Iterator[Callable[[], Coroutine[object, object, None]]]:
        return (partial(self._connect_once, client) for client in self._clients)

    async def _reconnect(self, client: VirtualClient) -> None:
        """Try until it works, with growing delays and jitter, as clients should."""
        backoff = Backoff()
        while True:
            await backoff.pause()
            with suppress(OSError, RemoteProtocolError):
                await self._connect(client)
                return

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
            count_cause(self.checker.faults.closed, "close not answered")
            client.reset()
        await self._connect_once(client)
