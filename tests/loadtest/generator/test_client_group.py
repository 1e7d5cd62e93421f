"""The clients of one worker: how they come, what they do meanwhile, how they go."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from relay.loadtest.generator import backoff, connection_group
from relay.loadtest.generator.client_group import ClientGroup
from relay.loadtest.generator.commands import Assignment
from relay.loadtest.plan.plan import Dialect, Plan
from relay.loadtest.plan.server_address import resolve
from relay.loadtest.result.faults import Faults
from tests.harness.broadcast_server import BroadcastServer
from tests.harness.conditions import stays_true, wait_until
from tests.harness.free_port import free_port
from tests.harness.server_session import ServerSession

RUN = 0x0000AB
URL = "{url}/ws/{channel}?client={client}"
DIALECT = Dialect(url=URL)


@asynccontextmanager
async def crowd_of(*urls: str, dialect: Dialect = DIALECT, **given: object) -> AsyncIterator[ClientGroup]:
    """Make the group of the only worker of a plan, which begins now."""
    fields = {"clients": 4, "publishers": 1, **given}
    plan = Plan(urls=urls, dialect=dialect, **fields)  # type: ignore[arg-type]
    group = ClientGroup(Assignment(plan, RUN, 0, [resolve(url) for url in urls]), time.monotonic_ns())
    try:
        yield group
    finally:
        await group.close()


@asynccontextmanager
async def connected(server: BroadcastServer, **given: object) -> AsyncIterator[ClientGroup]:
    """Make a group, and connect it."""
    async with crowd_of(server.url, **given) as group:  # type: ignore[arg-type]
        group.ramp()
        await wait_until(lambda: not group.busy)
        assert group.connected == len(group.receivers)
        yield group


def sessions(server: BroadcastServer) -> list[str]:
    """Return the numbers of the clients that are there."""
    return sorted(session.request.client for session in server.sessions)


def by_client(server: BroadcastServer, number: int) -> ServerSession:
    """Return a client's session."""
    (session,) = (session for session in server.sessions if session.request.client == str(number))
    return session


def counts(faults: Faults) -> dict[str, dict[str, int]]:
    """Return all causes that were counted."""
    names = ("closed", "returned", "refused", "slow_closed")
    return {name: getattr(faults, name) for name in names if getattr(faults, name)}


async def test_everybody_comes_at_the_pace_of_the_plan() -> None:
    async with BroadcastServer() as server, crowd_of(server.url, clients=20, connect_rate=100.0) as group:
        group.ramp()
        assert group.busy
        await wait_until(lambda: not group.busy)
        assert (group.connected, group.sessions, server.accepted) == (21, 21, 21)
        assert 0.19e9 <= group.ramped < time.monotonic_ns() - group.epoch
        assert group.handshakes.total == 21
        assert not any(receiver.away for receiver in group.receivers)
    await wait_until(lambda: not server.sessions)


async def test_no_more_connections_are_made_at_once_than_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes its time is not overrun."""
    monkeypatch.setattr(connection_group, "PENDING", 3)

    class Slow(BroadcastServer):
        """Notes how many wait for an answer, and answers after a while."""

        waiting = most = 0

        def connected(self, session: ServerSession) -> None:
            super().connected(session)
            self.waiting += 1
            self.most = max(self.most, self.waiting)
            session.stop_reading()
            asyncio.get_running_loop().call_later(0.02, self._go_on, session)

        def _go_on(self, session: ServerSession) -> None:
            self.waiting -= 1
            session.resume_reading()

    async with Slow() as server, connected(server, clients=14, connect_rate=1e6):
        assert server.most == 3


async def test_everybody_speaks_as_the_dialect_says() -> None:
    dialect = Dialect(
        url=URL, subscribe=("I am {client} of {run}", '{"join":"{channel}"}'), publish="{channel}:{client}:{payload}"
    )
    said: list[tuple[str, bytes]] = []

    class Listener(BroadcastServer):
        """Keeps what is said."""

        def received(self, session: ServerSession, opcode: int, payload: bytes) -> None:
            said.append((session.request.client, payload))

    async with Listener() as server, connected(server, dialect=dialect, clients=1, channels=2, publishers=2) as group:
        group.publishers[1].backlog.append(0)
        group.publishers[1].send_due()
        await wait_until(lambda: len(said) == 7)
    (published,) = (payload for _, payload in said if b"rly:" in payload)
    assert published.startswith(b"loadtest-0000ab-1:2:rly:")
    channels = {"0": 0, "1": 0, "2": 1}
    assert sorted(said) == sorted(
        [
            *((client, f"I am {client} of 0000ab".encode()) for client in channels),
            *((client, b'{"join":"loadtest-0000ab-%d"}' % channel) for client, channel in channels.items()),
            ("2", published),
        ]
    )


async def test_clients_are_spread_over_all_servers_and_their_messages_are_checked() -> None:
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(BroadcastServer()) for _ in range(2)]
        group = await stack.enter_async_context(crowd_of(*(server.url for server in servers), clients=6))
        group.ramp()
        await wait_until(lambda: not group.busy)
        assert sorted(server.accepted for server in servers) == [3, 4]
        group.publishers[0].backlog += [0, 0, 0]
        group.publishers[0].send_due()
        (own,) = (server for server in servers if server.accepted == 4)
        await wait_until(lambda: own.deliveries.total() == 9)
        await wait_until(lambda: sum(receiver.expected.get(0, 0) for receiver in group.receivers) == 9)
        group.collect()
        group.collect()
        assert group.recorder.delivered == group.delivered_by_second.total() == 9
        assert not group.checker.faults.any


async def test_who_is_refused_is_counted_by_the_cause() -> None:
    async with crowd_of(f"ws://127.0.0.1:{free_port()}") as group:
        group.ramp()
        await wait_until(lambda: not group.busy)
        assert counts(group.checker.faults) == {"refused": {"connection refused": 5}}
        assert (group.connected, group.sessions) == (0, 0)


class Busy(BroadcastServer):
    """Refuses the first connections.

    Args:
        refusals: how many.
    """

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self._refusals = refusals

    def answer(self, session: ServerSession) -> bytes | None:
        # Not by the number of accepted ones: a later connection may be accepted before this one is answered.
        if self._refusals:
            self._refusals -= 1
            return b"HTTP/1.1 503 Busy\r\n\r\n"
        return super().answer(session)


async def test_who_is_refused_comes_back_if_told_to_and_misses_what_came_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Several times if need be."""
    monkeypatch.setattr(backoff, "FIRST_DELAY", 0.01)
    async with Busy(6) as server, crowd_of(server.url, clients=2, publishers=0, reconnect=True) as group:
        group.ramp()
        await wait_until(lambda: not group.busy)
        assert counts(group.checker.faults) == {"refused": {"HTTP 503": 2}}
        assert (group.connected, group.sessions, server.accepted) == (2, 2, 8)
        assert all(receiver.left_at is not None for receiver in group.receivers)
        group.count_absent()
        assert group.checker.faults.closed == {}


async def test_who_is_hung_up_on_is_counted_by_the_cause_and_stays_away() -> None:
    async with BroadcastServer() as server, connected(server) as group:
        by_client(server, 0).close(1011, "oops")
        by_client(server, 1).reset()
        await wait_until(lambda: group.connected == 3)
        group.count_absent()
        assert counts(group.checker.faults) == {"closed": {"1011 oops": 1, "reset": 1}}
        assert sessions(server) == ["2", "3", "4"]
        assert not group.busy


async def test_a_server_with_another_reason_for_everybody_does_not_fill_the_memory() -> None:
    wanted = connection_group.MAX_CAUSES + 5
    async with BroadcastServer() as server, connected(server, clients=wanted, publishers=0) as group:
        for number, session in enumerate(list(server.sessions)):
            session.close(1011, f"reason {number}")
        await wait_until(lambda: not group.connected)
        closed = group.checker.faults.closed
        assert (len(closed), sum(closed.values()), closed["other causes"]) == (
            connection_group.MAX_CAUSES + 1,
            wanted,
            5,
        )


async def test_who_is_hung_up_on_comes_back_if_told_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_DELAY", 0.01)
    async with BroadcastServer() as server, connected(server, reconnect=True) as group:
        by_client(server, 0).end()
        await wait_until(lambda: server.accepted == 6 and not group.busy)
        assert counts(group.checker.faults) == {"returned": {"closed without a close frame": 1}}
        assert (group.connected, group.sessions) == (5, 6)
        ramped = group.ramped
        by_client(server, 0).end()
        await wait_until(lambda: group.sessions == 7)
        assert group.ramped == ramped


async def test_who_should_come_back_and_can_not_is_counted_at_the_end() -> None:
    async with BroadcastServer() as server, connected(server, reconnect=True) as group:
        await server.die()
        await wait_until(lambda: group.connected == 0)
        assert group.busy
        group.count_absent()
        assert group.checker.faults.closed == {"did not come back": 5}


async def test_closing_ends_everything_that_goes_on() -> None:
    """Connections, and attempts to connect."""
    async with BroadcastServer() as server:
        async with crowd_of(server.url, clients=100, connect_rate=50.0) as group:
            group.ramp()
            await wait_until(lambda: server.accepted > 3)
        assert (group.connected, group.busy) == (0, False)
        accepted = server.accepted
        await wait_until(lambda: not server.sessions)
        assert await stays_true(lambda: server.accepted == accepted, 0.05)
