"""What a connection leaves in memory, and what it doesn't."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc

import pytest
from aiohttp import web
from websockets.http11 import Request

from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.http_response import read_response
from tests.harness.inside import parts_of
from tests.harness.live_objects import live_objects
from tests.harness.server_api import KEY, request
from tests.web.exchange import HANDSHAKE, POLL


async def test_a_kept_connection_does_not_keep_its_last_answer(embedded: EmbeddedFactory) -> None:
    """Many that poll once would else hold the memory of many slow consumers, and have no place."""
    (gateway,) = await embedded(1)
    connections = [await asyncio.open_connection("127.0.0.1", gateway.port) for _ in range(20)]
    reader, writer = connections[0]
    writer.write(POLL)
    cursor = (await read_response(reader)).json["cursor"]
    for _ in range(8):
        await gateway.publish("b", bytes(60_000))
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for reader, writer in connections:
            writer.write(request(f"/poll/b?wait=0&cursor={cursor}", method="GET"))
            assert len((await read_response(reader)).body) > 600_000
        assert tracemalloc.get_traced_memory()[0] - before < 5_000_000
    finally:
        tracemalloc.stop()
    for _, writer in connections:
        writer.transport.abort()


@pytest.mark.parametrize(
    "data",
    [
        request("/publish/a", bytes(10_000), "Content-Length: 20000"),
        request("/publish/a", b"3e8\r\n" + bytes(1000), "Transfer-Encoding: chunked"),
        request("/api/info", bytes(10_000), f"X-API-Key: {KEY}", "Content-Length: 20000"),
        request("/ws/a", b"", "Upgrade: websocket", "Connection: Upgrade", method="GET"),
        HANDSHAKE.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhl!"),
        HANDSHAKE.replace(b"Connection: Upgrade", b"Connection: close"),
    ],
)
async def test_a_client_that_leaves_or_is_refused_leaves_no_memory(embedded: EmbeddedFactory, data: bytes) -> None:
    """An error holds the frames of its traceback, and so what was sent; what keeps the error must not hold it then."""

    def alive() -> int:
        return live_objects(web.Request, Request)

    (gateway,) = await embedded(1, api_keys=KEY)
    parts = parts_of(gateway)
    gc.collect()
    before = alive()
    gc.disable()
    try:
        for _ in range(3):
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
            writer.write(data)
            await wait_until(lambda: len(parts.front_door.http.connections) == 1)
            await wait_until(lambda: alive() > before or bool(gateway.counters.connections_refused))
            writer.transport.abort()
            await wait_until(lambda: len(parts.front_door.http.connections) == 0)
        await wait_until(lambda: alive() == before)
    finally:
        gc.enable()
