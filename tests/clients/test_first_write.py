"""What completes the handshake of a client of several channels is written at the end of the tick, before all else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from relay.clients.multiplexed import MultiplexedWebSocket
from relay.errors import Disconnect
from relay.gateway.proxy_phase import ProxyPhase
from tests.conftest import EmbeddedFactory
from tests.fuzz.memory_transport import MemoryTransport
from tests.harness.conditions import wait_until
from tests.harness.inside import parts_of
from tests.harness.whole_frames import frames_of

UPGRADE = (
    b"GET /connection/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@asynccontextmanager
async def coming(embedded: EmbeddedFactory) -> AsyncIterator[tuple[MemoryTransport, MultiplexedWebSocket]]:
    """Let a client come; yield it when it has its places, in the tick that writes its 101 at its end."""
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    transport = MemoryTransport(asyncio.get_running_loop(), ProxyPhase(parts.front_door, "127.0.0.1"))
    transport.send(UPGRADE)
    while not len(parts.context.registry):  # noqa: ASYNC110  # it is about this very turn
        await asyncio.sleep(0)
    (connection,) = parts.context.registry
    assert isinstance(connection, MultiplexedWebSocket)
    assert not transport.written
    yield transport, connection
    transport.reset()


async def test_what_is_sent_in_between_comes_behind_it(embedded: EmbeddedFactory) -> None:
    async with coming(embedded) as (transport, connection):
        connection.send(b"\x81\x01a")
        connection.deliver(b"\x81\x01b", 1)
        await wait_until(lambda: bool(transport.written))
        head, _, rest = bytes(transport.written).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert rest == b"\x81\x01a\x81\x01b"


@pytest.mark.parametrize("whole", [True, False])
async def test_a_pong_comes_behind_it(embedded: EmbeddedFactory, whole: bool) -> None:
    """Of a client that has not waited for it: the library answers a ping that comes in pieces."""
    async with coming(embedded) as (transport, connection):
        ping = b"\x89\x81\x00\x00\x00\x00a"
        for piece in [ping] if whole else [ping[:-1], ping[-1:]]:
            connection._reader.read(piece)
        await wait_until(lambda: transport.written.endswith(b"\x8a\x01a"))
        assert transport.written.startswith(b"HTTP/1.1 101 ")


async def test_an_answer_that_stands_before_all_channels_comes_behind_it(embedded: EmbeddedFactory) -> None:
    async with coming(embedded) as (transport, connection):
        connection.hold_deliveries()
        connection.deliver(b"\x81\x01b", 1)
        connection.reply(b"\x81\x01a")
        head, _, rest = bytes(transport.written).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert rest == b"\x81\x01a\x81\x01b"


@pytest.mark.parametrize("leaves", [False, True])
async def test_who_is_closed_in_between_gets_it_first(embedded: EmbeddedFactory, leaves: bool) -> None:
    """Whether the gateway ends it, or the client has closed its side already."""
    async with coming(embedded) as (transport, connection):
        if leaves:
            transport.send_eof()
        else:
            connection.close(Disconnect.GOING_AWAY)
        await wait_until(lambda: bool(transport.written))
        head, _, rest = bytes(transport.written).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert [opcode for opcode, _ in frames_of(rest)] == ([] if leaves else [0x8])


async def test_who_is_dropped_in_between_gets_nothing(embedded: EmbeddedFactory) -> None:
    async with coming(embedded) as (transport, connection):
        connection.abort()
        await wait_until(lambda: transport.lost)
        assert not transport.written


async def test_answers_of_the_same_tick_go_out_with_it(embedded: EmbeddedFactory) -> None:
    """A client that only listens says who it is by its request."""
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    transport = MemoryTransport(asyncio.get_running_loop(), ProxyPhase(parts.front_door, "127.0.0.1"))
    writes: list[bytes] = []
    write = transport.write

    def noted(data: bytes) -> None:
        writes.append(data)
        write(data)

    transport.send(UPGRADE.replace(b"/connection/websocket", b"/connection/uni_websocket?cf_connect={}"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MemoryTransport, "write", lambda _, data: noted(bytes(data)))
        await wait_until(lambda: b'"connect":' in transport.written)
    assert len(writes) == 1
    transport.reset()
