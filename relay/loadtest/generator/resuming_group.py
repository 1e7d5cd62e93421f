"""The clients of one worker that resume: who they are, where they go, and when their connections are cut."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine, Iterator
from functools import partial
from typing import Final
from urllib.parse import urlsplit

from relay.loadtest.generator.commands import Assignment
from relay.loadtest.generator.connection_group import ConnectionGroup, count_cause
from relay.loadtest.generator.connector import cause
from relay.loadtest.generator.delivery_checker import Receiver
from relay.loadtest.generator.dialer import Dialer
from relay.loadtest.generator.event_client import EventClient
from relay.loadtest.generator.http_connection import Headers, HttpConnection
from relay.loadtest.generator.limits import source_of
from relay.loadtest.generator.poll_client import PollClient
from relay.loadtest.generator.post_publisher import PostPublisher
from relay.loadtest.generator.resuming_client import RefusedError, ResumingClient
from relay.loadtest.plan.connections import PlannedConnection, channel_name, listens_to_events, planned_connections

_WAYS: Final = {True: (EventClient, "sse"), False: (PollClient, "poll")}
"""Whether a client listens to events → what it is, and where it listens."""


class ResumingGroup(ConnectionGroup):
    """All connections of one worker whose clients resume, publishers included.

    Args:
        assignment: assignment of the worker.
        epoch: ns of the monotonic clock at the run's start.
    """

    def __init__(self, assignment: Assignment, epoch: int) -> None:
        super().__init__(assignment, epoch)
        plan = self._plan
        self.publishers: dict[int, PostPublisher] = {}
        self._dialer = Dialer(plan.trust)
        self._clients: dict[int, ResumingClient] = {}
        self._servers: dict[int, Iterator[int]] = {}
        self._absent: set[int] = set()
        self._cuts: dict[ResumingClient, asyncio.TimerHandle] = {}
        for planned in planned_connections(plan, assignment.worker):
            self._add(planned)

    @property
    def headers(self) -> Headers:
        """Further headers of each request."""
        return self._plan.dialect.headers

    @property
    def receivers(self) -> list[Receiver]:
        """The delivery record of each client."""
        return [client.receiver for client in self._clients.values()]

    @property
    def busy(self) -> bool:
        """Whether a client is about to connect or to come back."""
        return any(receiver.away for receiver in self.receivers) or not all(
            each.tried.is_set() for each in self._members
        )

    def start_act(self) -> None:
        """Begin to cut each connection now and then, if the plan says so."""
        if self._plan.reconnect_every:
            for client in self._clients.values():
                self._cut_later(client)

    def stop_act(self) -> None:
        """Cut no more: only clients that are away come back."""
        for handle in self._cuts.values():
            handle.cancel()
        self._cuts.clear()

    async def close(self) -> None:
        """Reset all connections, and cancel all tasks."""
        self.stop_act()
        await self._cancel_tasks()
        # The transports end in the loop's next iteration.
        await asyncio.sleep(0)

    async def open(self, client: ResumingClient) -> HttpConnection:
        """Return a connection to the server that is the client's turn."""
        return await self._open(client.number)

    async def open_publisher(self, publisher: PostPublisher) -> HttpConnection:
        """Return a connection to the server that is the publisher's turn."""
        return await self._open(publisher.connection_number)

    def joined(self, client: ResumingClient, resumed: bool) -> None:
        """Count a session that has begun; resumed: it goes on where the one before had ended."""
        self._count_session(len(self._servers))
        self.resumed += resumed
        self._absent.discard(client.number)

    def left(self, client: ResumingClient, reason: str) -> None:
        """Count a session that has ended."""
        self.connected -= 1
        count_cause(self.checker.faults.returned, reason)

    def failed(self, client: ResumingClient, error: Exception) -> None:
        """Count a session that could not be begun, once for each absence.

        Servers that are restarted refuse connections and answer 5xx for a while: who comes back tries again. Another
        answer to a position that the server itself has told, or any failure of the first session, is a fault.
        """
        fault = not client.position or (isinstance(error, RefusedError) and error.final)
        if not fault or client.number in self._absent:
            return
        self._absent.add(client.number)
        if client.position:
            count_cause(self.checker.faults.refused, f"{cause(error)} to a client that came back")
        else:
            count_cause(self.checker.faults.refused, cause(error))
            # Messages may be flowing when it connects at last: those sent before are missed, not lost.
            client.receiver.leave()

    def publisher_joined(self) -> None:
        """Count a publisher that has a connection for the first time."""
        self._count_session(len(self._servers))

    def publisher_failed(self, reason: str) -> None:
        """Count a message that will never be taken, or a first connection that could not be made."""
        count_cause(self.checker.faults.refused, reason)

    def _arrivals(self) -> Iterator[Callable[[], Coroutine[object, object, None]]]:
        return (partial(self._arrive, each) for each in self._members)

    @property
    def _members(self) -> list[ResumingClient | PostPublisher]:
        return [*self._clients.values(), *self.publishers.values()]

    async def _arrive(self, member: ResumingClient | PostPublisher) -> None:
        self._spawn(member.run())
        await member.tried.wait()

    def _add(self, planned: PlannedConnection) -> None:
        plan = self._plan
        channel = channel_name(plan, self._run, planned.channel)
        self._servers[planned.number] = self._turns(planned.url)
        if planned.publisher is None:
            kind, endpoint = _WAYS[listens_to_events(plan, planned.number)]
            receiver = Receiver(planned.number, plan.urls[planned.url], channel, planned.hears)
            self._clients[planned.number] = kind(self, receiver, f"/{endpoint}/{channel}", plan.connect_timeout)
        else:
            self.publishers[planned.publisher] = PostPublisher(
                self,
                planned.publisher,
                planned.number,
                planned.channel,
                f"/publish/{channel}",
                self._run,
                plan.size,
                plan.connect_timeout,
            )

    def _turns(self, first: int) -> Iterator[int]:
        """Yield the servers of one client: that of the plan first, then any, as a balancer may choose."""
        yield first
        while True:
            yield random.randrange(len(self._addresses))  # noqa: S311  # spreads load, guards nothing

    async def _open(self, number: int) -> HttpConnection:
        server = next(self._servers[number])
        # Where an incident is told to have happened.
        if (client := self._clients.get(number)) is not None:
            client.receiver.url = self._plan.urls[server]
        source = source_of(number, self._plan.source_addresses)
        prefix = urlsplit(self._plan.urls[server]).path
        return await HttpConnection.open(self._dialer, self._addresses[server], source, prefix, self._count_bytes)

    def _count_bytes(self, size: int) -> None:
        self.bytes_received += size

    def _cut_later(self, client: ResumingClient) -> None:
        """Cut a client's connection after a random time, and so on."""
        seconds = random.uniform(0, 2 * self._plan.reconnect_every)  # noqa: S311  # spreads load, guards nothing
        self._cuts[client] = asyncio.get_running_loop().call_later(seconds, self._cut, client)

    def _cut(self, client: ResumingClient) -> None:
        client.cut()
        self._cut_later(client)
