"""The proxy forwards, falls silent without closing, and cuts."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio

from tests.harness.certificate_authority import CertificateAuthority
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


async def test_a_deaf_proxy_forwards_only_what_clients_say() -> None:
    heard: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            heard.append(data)
            writer.write(b"answer to " + data)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    async with server, TcpProxy(server.sockets[0].getsockname()[1]) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(b"one")
        assert await reader.readexactly(13) == b"answer to one"
        proxy.deaf = True
        writer.write(b"two")
        await wait_until(lambda: heard == [b"one", b"two"])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.05)
        proxy.deaf = False
        assert await reader.readexactly(13) == b"answer to two"
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()


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


@pytest.mark.parametrize("hole", [False, True])
async def test_what_comes_at_once_waits_for_the_target(proxy: TcpProxy, hole: bool) -> None:
    """CPython 3.11.2 forgets a pause that is older than the first look at a socket."""
    proxy.black_hole = hole
    with socket.create_connection(("127.0.0.1", proxy.port)) as early:
        early.sendall(b"hello")
        reader, writer = await asyncio.open_connection(sock=early)
        answer = asyncio.create_task(reader.readexactly(5))
        await wait_until(lambda: proxy.accepted == 1)
        assert not hole or await stays_true(lambda: not answer.done() and proxy.connections == 1, 0.1)
        proxy.black_hole = False
        assert await answer == b"hello"
        writer.transport.abort()


async def test_a_client_that_speaks_tls_may_speak_at_once(certificate_authority: CertificateAuthority) -> None:
    """Its first bytes come with the end of the handshake, before anything can have gone on."""
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate_authority.certificate_file, certificate_authority.key_file)
    trust = ssl.create_default_context(cafile=certificate_authority.ca_file)
    async with server, TcpProxy(server.sockets[0].getsockname()[1], tls=tls) as proxy:
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port, ssl=trust)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
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


async def test_a_narrow_proxy_passes_bytes_and_not_whole_chunks(proxy: TcpProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.slow_down(bytes_per_second=5000)
    writer.write(b"x" * 20_000)
    assert 0 < len(await reader.read(65536)) < 1000
    proxy.slow_down()
    await reader.readexactly(15_000)
    writer.close()


async def test_a_slow_proxy_delays_bytes_and_keeps_their_order(proxy: TcpProxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    proxy.slow_down(delay_seconds=0.1)
    loop = asyncio.get_running_loop()
    began = loop.time()
    writer.write(b"one ")
    assert await reader.readexactly(4) == b"one "
    assert loop.time() - began >= 0.2
    writer.write(b"two ")
    await asyncio.sleep(0)
    proxy.slow_down()
    writer.write(b"three")
    assert await reader.readexactly(9) == b"two three"
    writer.close()
