"""The proxy forwards, falls silent without closing, and cuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest_asyncio

from tests.harness.conditions import stays_true, wait_until
from tests.harness.tcp_proxy import TcpProxy


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest_asyncio.fixture
async def proxy() -> AsyncIterator[TcpProxy]:
    """A proxy in front of a server that sends everything back."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    async with server, TcpProxy(server.sockets[0].getsockname()[1]) as proxy:
        yield proxy


async def test_bytes_go_both_ways_and_an_end_is_handed_on(proxy: TcpProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    data = bytes(range(256)) * 8192
    writer.write(data)
    assert await reader.readexactly(len(data)) == data
    assert (proxy.connections, proxy.accepted) == (1, 1)
    writer.close()
    await writer.wait_closed()
    await wait_until(lambda: proxy.connections == 0)


async def test_a_black_hole_is_silent_and_open_and_forwards_everything_later(proxy: TcpProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"before")
    assert await reader.readexactly(6) == b"before"
    proxy.black_hole = True
    writer.write(b"after")
    answer = asyncio.create_task(reader.readexactly(5))
    assert await stays_true(lambda: not answer.done() and proxy.connections == 1, 0.1)
    proxy.black_hole = False
    assert await asyncio.wait_for(answer, 1) == b"after"
    writer.transport.abort()


async def test_a_black_hole_takes_new_connections_and_tells_them_nothing(proxy: TcpProxy) -> None:
    proxy.black_hole = True
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"hello")
    answer = asyncio.create_task(reader.readexactly(5))
    assert await stays_true(lambda: not answer.done(), 0.1)
    proxy.black_hole = False
    assert await asyncio.wait_for(answer, 1) == b"hello"
    writer.transport.abort()


async def test_a_cut_ends_all_connections_and_new_ones_work(proxy: TcpProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"x")
    await reader.readexactly(1)
    proxy.cut()
    with suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), 1) == b""
    writer.transport.abort()
    await wait_until(lambda: proxy.connections == 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    writer.write(b"y")
    assert await reader.readexactly(1) == b"y"
    writer.transport.abort()


async def test_a_target_that_is_away_ends_the_connection() -> None:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    server.close()
    await server.wait_closed()
    async with TcpProxy(port) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        with suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 1) == b""
        writer.transport.abort()
