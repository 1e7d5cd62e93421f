"""The hand-made client speaks WebSocket as an independent server understands it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError

from tests.harness.conditions import wait_until
from tests.harness.history import check_history
from tests.harness.numbered_publisher import NumberedPublisher
from tests.harness.raw_websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Frame, RawWebSocket, encode_frame
from tests.harness.websocket_client import connected

ENDS: list[type[BaseException]] = []


async def echo(connection: ServerConnection) -> None:
    try:
        async for message in connection:
            await connection.send(message)
    except ConnectionClosedError as error:
        ENDS.append(type(error))


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    """A server that sends every message back."""
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        yield server.sockets[0].getsockname()[1]


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
async def test_frames_of_every_length_form_come_back(port: int, size: int) -> None:
    payload = bytes(n * 7 & 0xFF for n in range(size))
    async with RawWebSocket(port) as client:
        assert (await client.upgrade("/")).status == 101
        await client.send_frame(BINARY, payload)
        assert await client.frame() == Frame(BINARY, payload)


async def test_fragments_pings_and_bad_frames_arrive_as_sent(port: int) -> None:
    async with RawWebSocket(port) as client:
        await client.upgrade("/")
        await client.send_frame(TEXT, b"he", fin=False)
        await client.send_frame(PING, b"?")
        await client.send_frame(CONTINUATION, b"llo")
        assert await client.frame() == Frame(PONG, b"?")
        assert await client.frame() == Frame(TEXT, b"hello")
        await client.send_frame(TEXT, b"unmasked", masked=False)
        code, _ = await client.close_frame()
        assert code == 1002


async def test_a_refused_upgrade_is_an_answer(port: int) -> None:
    async with RawWebSocket(port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = await client.response()
        assert answer.status == 426
        assert answer.text.startswith("Failed to open")


async def test_a_client_that_stops_reading_fills_its_small_buffer(port: int) -> None:
    async with RawWebSocket(port, receive_buffer=4096) as client:
        await client.upgrade("/")
        burst = asyncio.create_task(client.send(encode_frame(BINARY, bytes(100_000)) * 200))
        done, _ = await asyncio.wait({burst}, timeout=0.3)
        assert not done  # the server waits for us to read, so it reads no more
        burst.cancel()
        await asyncio.gather(burst, return_exceptions=True)


async def test_an_abort_is_a_reset(port: int) -> None:
    ENDS.clear()
    async with RawWebSocket(port) as client:
        await client.upgrade("/")
        client.abort()
        await wait_until(lambda: [ConnectionClosedError] == ENDS)


async def test_frames_to_the_end_include_the_close_frame(port: int) -> None:
    async with RawWebSocket(port) as client:
        await client.upgrade("/")
        await client.send_frame(PING, b"x")
        await client.send_frame(CLOSE, b"\x03\xe8")
        assert [frame.opcode for frame in await client.frames_to_the_end()] == [PONG, CLOSE]


async def test_numbered_publisher_counts_what_it_sent(port: int) -> None:
    async with connected(f"ws://127.0.0.1:{port}/") as (client,):
        await client.send("one")
        await client.send_fragments("t", "wo")
        assert await client.receive(2) == ["one", "two"]
        await client.flushed()
    async with NumberedPublisher(f"ws://127.0.0.1:{port}/", "p", per_second=1000) as publisher:
        await wait_until(lambda: publisher.sessions and len(publisher.sessions[0].sent_at) > 20)
    assert publisher.sent == {"p.0": len(publisher.sessions[0].sent_at)}
    assert publisher.endings == []
    assert not check_history([], {})
