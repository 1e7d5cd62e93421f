"""Bodies of requests, on their way through a connection."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from relay.protocols.http_body import STEPS_PER_TURN
from relay.web.http_connection import HttpConnection
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.http_response import read_response
from tests.harness.inside import parts_of
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.server_api import request
from tests.web.exchange import POLL, talk


@pytest.mark.parametrize("chunk", [0, 1, 4096, 200_000])
async def test_large_bodies_come_through(embedded: EmbeddedFactory, chunk: int) -> None:
    """More than aiohttp takes at once, and more chunks than have their turn at once."""
    (gateway,) = await embedded(1, max_message_bytes=1_000_000)
    body = random.Random(1).randbytes(20_000 if chunk == 1 else 900_000)
    async with RawWebSocket(gateway.port) as listener:
        assert (await listener.upgrade("/ws/a")).status == 101
        data = request("/publish/a", body)
        if chunk:
            pieces = [body[start : start + chunk] for start in range(0, len(body), chunk)]
            chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
            data = request("/publish/a", chunks, "Transfer-Encoding: chunked")
        answers = await talk(gateway, data + POLL, 2)
        assert [answer.status for answer in answers] == [200, 200]
        assert (await listener.frame()).payload == body


async def test_a_refusal_arrives_though_the_body_is_on_its_way(embedded: EmbeddedFactory) -> None:
    """A reset would take the answer with it."""
    (gateway,) = await embedded(1)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(request("/publish/a", b"", "Content-Length: 3000000"))
    for _ in range(30):
        writer.write(bytes(100_000))
        await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await read_response(reader)).status == 413
    writer.transport.abort()


async def test_a_connection_that_gives_way_in_the_midst_of_its_body_does_nothing_more(
    embedded: EmbeddedFactory,
) -> None:
    """More chunks than one turn takes are there, so it has another turn before its socket is closed."""
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /publish/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    await wait_until(lambda: [it for it in parts.front_door.http.connections if not it.in_handshake])
    (connection,) = parts.front_door.http.connections
    assert isinstance(connection, HttpConnection)
    faults: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, fault: faults.append(fault))
    try:
        connection.data_received(b"1\r\nx\r\n" * (STEPS_PER_TURN // 2) + b"0\r\n\r\n")
        assert parts.front_door.http.connections.evict()
        assert gateway.counters.http_connections_evicted == 1
        async with asyncio.timeout(PATIENCE_SECONDS):
            with suppress(ConnectionError):
                assert await reader.read() == b""
    finally:
        loop.set_exception_handler(None)
        writer.transport.abort()
    assert (faults, len(parts.front_door.http.connections)) == ([], 0)
    assert gateway.counters.messages_received == 0


async def test_many_small_chunks_wait_for_their_turns(embedded: EmbeddedFactory) -> None:
    """However they come, and though the client has closed its side: others have their turn meanwhile."""
    (gateway,) = await embedded(1)
    parts = parts_of(gateway)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"POST /publish/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
    await wait_until(lambda: [it for it in parts.front_door.http.connections if not it.in_handshake])
    (connection,) = parts.front_door.http.connections
    assert isinstance(connection, HttpConnection)
    for _ in range(5):
        connection.data_received(b"1\r\nx\r\n" * STEPS_PER_TURN)
    connection.data_received(b"0\r\n\r\n")
    connection.eof_received()
    assert len(connection._buffer) > 4 * 6 * STEPS_PER_TURN, "one turn"
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await read_response(reader)).status == 200
    assert gateway.counters.bytes_received == 5 * STEPS_PER_TURN
    writer.transport.abort()


async def test_a_body_that_is_broken_after_an_interim_answer_is_refused(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = b"POST /publish/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
    writer.write(head)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"x\r\n")
        assert (await read_response(reader)).status == 400
    writer.transport.abort()
