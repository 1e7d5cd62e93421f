"""Deadlines of HTTP connections, and which of them are dropped when places run short."""

from __future__ import annotations

import asyncio

import pytest

from relay.metrics.counters import Counters
from relay.web.http_connection import HttpConnection
from relay.web.open_connections import OpenConnections
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.http_response import read_response
from tests.harness.inside import parts_of
from tests.web.exchange import POLL, WAITING


class Connection:
    """A connection that notes how it is called.

    Args:
        open_: the table that it is in; `drain` removes it.
        in_handshake: see `Expiring`.
    """

    def __init__(self, open_: OpenConnections, *, in_handshake: bool = False) -> None:
        self.in_handshake = in_handshake
        self.calls: list[str] = []
        self._open = open_

    def expire(self) -> None:
        self.calls.append("expire")

    def drain(self) -> None:
        self.calls.append("drain")
        self._open.remove(self)

    def abort(self) -> None:
        self.calls.append("abort")


@pytest.fixture
def counters() -> Counters:
    """The counters of the port."""
    return Counters()


@pytest.fixture
def table(counters: Counters) -> OpenConnections:
    """An empty table."""
    return OpenConnections(counters, max_idle=3)


def test_a_deadline_is_that_of_the_last_mark(table: OpenConnections) -> None:
    """`expire` is called again on a connection that stays."""
    one, other = Connection(table), Connection(table)
    table.mark_receiving(one, 10.0)
    table.mark_busy(other, 10.0)
    table.mark_busy(one, 20.0)
    table.expire(9.9)
    assert (one.calls, other.calls) == ([], [])
    table.expire(10.0)
    assert (one.calls, other.calls) == ([], ["expire"])
    table.expire(20.0)
    assert (one.calls, other.calls) == (["expire"], ["expire", "expire"])


def test_unread_responses_give_no_new_time(table: OpenConnections) -> None:
    one = Connection(table)
    table.mark_busy(one, 10.0)
    table.mark_unread(one)
    table.expire(10.0)
    assert one.calls == ["expire"]


def test_idle_connections_are_dropped_first_and_the_oldest_first(table: OpenConnections, counters: Counters) -> None:
    """Then those with an unfinished request or an unread response. One that the relay works for never is."""
    receiving, unread, idle, later, busy = (Connection(table) for _ in range(5))
    table.mark_receiving(receiving, 1.0)
    table.mark_busy(unread, 1.0)
    table.mark_unread(unread)
    table.mark_idle(idle, 1.0)
    table.mark_idle(later, 1.0)
    table.mark_busy(busy, 1.0)
    for expected in (idle, later, receiving, unread):
        assert table.evict()
        assert expected.calls == ["abort"]
    assert not table.evict()
    assert (len(table), busy.calls, counters.http_connections_evicted) == (1, [], 4)


def test_a_connection_that_works_again_keeps_its_place(table: OpenConnections) -> None:
    connections = [Connection(table) for _ in range(3)]
    table.mark_idle(connections[0], 1.0)
    table.mark_receiving(connections[1], 1.0)
    table.mark_busy(connections[2], 1.0)
    table.mark_unread(connections[2])
    for connection in connections:
        table.mark_busy(connection, 1.0)
    assert not table.evict()


def test_only_so_many_are_idle(table: OpenConnections, counters: Counters) -> None:
    connections = [Connection(table) for _ in range(5)]
    for connection in connections:
        table.mark_idle(connection, 1.0)
    assert [connection.calls for connection in connections] == [["abort"], ["abort"], [], [], []]
    assert (len(table), counters.http_connections_evicted) == (3, 2)


def test_what_is_not_there_is_not_marked_unread_and_may_be_removed(table: OpenConnections) -> None:
    """A closed transport may still report that its buffer is full."""
    gone = Connection(table)
    table.mark_busy(gone, 1.0)
    table.remove(gone)
    table.mark_unread(gone)
    table.remove(gone)
    assert (len(table), table.evict()) == (0, False)


def test_connections_may_end_while_one_goes_through_them(table: OpenConnections) -> None:
    connections = [Connection(table) for _ in range(3)]
    for connection in connections:
        table.mark_idle(connection, 1.0)
    for expiring in table:
        expiring.drain()
    assert [connection.calls for connection in connections] == [["drain"]] * 3
    assert len(table) == 0


def test_handshakes_are_counted(table: OpenConnections) -> None:
    for in_handshake in (True, False, True):
        table.mark_receiving(Connection(table, in_handshake=in_handshake), 1.0)
    assert table.handshakes == 2


async def test_of_too_many_idle_connections_the_oldest_goes(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    parts.front_door.http.connections.max_idle = 2
    kept = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(3)]
    for reader, writer in kept:
        writer.write(POLL)
        assert (await read_response(reader)).status == 200
    await wait_until(lambda: len(parts.front_door.http.connections) == 2)
    assert gateway.counters.http_connections_evicted == 1
    kept[2][1].write(POLL)
    assert (await read_response(kept[2][0])).status == 200
    for _, writer in kept:
        writer.transport.abort()


async def test_who_does_not_read_an_answer_gives_way(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(WAITING)
    await wait_until(lambda: len(parts.polling_clients) == 1)
    (connection,) = parts.front_door.http.connections
    assert isinstance(connection, HttpConnection)
    connection.pause_writing()
    connection.resume_writing()
    assert not parts.front_door.http.connections.evict()
    connection.pause_writing()
    assert parts.front_door.http.connections.evict()
    writer.transport.abort()
