"""The accept loop when things run out."""

from __future__ import annotations

import asyncio
import errno
import socket
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.http_response import get
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.websocket_client import connected


class Exhausted(socket.socket):
    """A listening socket whose accept fails as long as it is told to."""

    failures = 0
    calls = 0

    def _accept(self) -> tuple[int, Any]:
        Exhausted.calls += 1
        if Exhausted.failures:
            Exhausted.failures -= 1
            raise OSError(errno.EMFILE, "Too many open files")
        return super()._accept()  # type: ignore[misc, no-any-return]


async def test_running_out_of_descriptors_pauses_and_recovers(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (gateway,) = await embedded(1)
    listener = gateway._listener
    assert listener is not None
    original = listener._sockets[0]
    copy = Exhausted(original.family, original.type, fileno=original.detach())
    asyncio.get_running_loop().remove_reader(copy.fileno())
    listener._sockets[0] = copy
    listener._resume()
    Exhausted.failures, Exhausted.calls = 3, 0
    async with connected(f"{gateway.url}/ws/a"):
        assert gateway.counters.accept_errors == 3
        assert Exhausted.calls <= 6, "it waits instead of spinning"
    assert caplog.text.count("accepting paused") == 1


async def test_clients_beyond_the_reserve_wait_in_the_backlog(embedded: EmbeddedFactory) -> None:
    """Not even refusals may use up the file descriptors that the bus needs. Who is served keeps its place."""
    (gateway,) = await embedded(1, max_connections=2)
    listener, parts = gateway._listener, parts_of(gateway)
    assert listener is not None
    parts.front_door.max_sockets = 2
    async with RawWebSocket(gateway.port) as first:
        assert (await first.upgrade("/")).status == 101
        async with RawWebSocket(gateway.port) as second:
            await second.send(b"GET /poll/a?wait=25 HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await wait_until(lambda: len(parts.polling_clients) == 1)
            async with RawWebSocket(gateway.port) as third:
                assert await stays_true(lambda: parts.front_door.sockets == 2, 0.3)
                second.abort()
                assert (await third.upgrade("/")).status == 503


async def test_who_asks_for_nothing_gives_way_to_a_probe(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    listener, parts = gateway._listener, parts_of(gateway)
    assert listener is not None
    parts.front_door.max_sockets = 4
    async with AsyncExitStack() as stack:
        member = await stack.enter_async_context(RawWebSocket(gateway.port))
        assert (await member.upgrade("/")).status == 101
        asked = await stack.enter_async_context(RawWebSocket(gateway.port))
        await asked.send(b"GET /poll/a?wait=25 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await wait_until(lambda: parts.context.node.channels == 2)
        for data in [
            b"",
            b"GET /heal",
            b"POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n",
        ] * 5:
            silent = await stack.enter_async_context(RawWebSocket(gateway.port))
            await silent.send(data)
            assert (await get(gateway.port, "/healthz")).status == 200
        assert parts.front_door.sockets <= 4
        assert gateway.counters.http_connections_evicted >= 13
        assert gateway.counters.connections_open == 2


async def test_other_faults_of_accept_are_not_hidden(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (gateway,) = await embedded(1)
    listener = gateway._listener
    assert listener is not None

    class Broken:
        def _accept(self) -> None:
            raise OSError(errno.EBADF, "Bad file descriptor")

    with pytest.raises(OSError, match="Bad file"):
        listener._accept(Broken())  # type: ignore[arg-type]


async def test_requests_that_wait_leave_places_for_probes(embedded: EmbeddedFactory) -> None:
    """While Redis is away all that strangers ask for waits; a gateway whose probe waits, too, would be restarted."""
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    parts.front_door.max_sockets = 16
    async with AsyncExitStack() as stack:
        waiting = [await stack.enter_async_context(RawWebSocket(gateway.port)) for _ in range(14)]
        for client in waiting:
            await client.send(b"GET /poll/a?wait=25 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await wait_until(lambda: len(parts.polling_clients) == 14)
        for path in ("/poll/a?wait=25", "/nothing", "/sse/a"):
            assert (await get(gateway.port, path)).status == 503
        async with RawWebSocket(gateway.port) as newcomer:
            assert (await newcomer.upgrade("/")).status == 503
        for path in ("/healthz", "/readyz?verbose", "/metrics"):
            assert (await get(gateway.port, path)).status == 200
    assert gateway.counters.connections_refused["full"] == 4


async def test_messages_do_not_wait_for_acknowledgements_of_earlier_ones(embedded: EmbeddedFactory) -> None:
    """Nagle's algorithm would hold each one back for up to 40 ms; asyncio switches it off only where it sees TCP."""
    (gateway,) = await embedded(1)
    async with connected(f"{gateway.url}/ws/a"), RawWebSocket(gateway.port) as waiting:
        await waiting.send(b"GET")
        await wait_until(lambda: len(parts_of(gateway).front_door.http.connections) == 1)
        clients = [*parts_of(gateway).context.registry, *parts_of(gateway).front_door.http.connections]
        accepted = [client._transport.get_extra_info("socket") for client in clients]
        assert [each.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for each in accepted] == [1, 1]
