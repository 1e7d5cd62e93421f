"""One client that takes more than its share hurts nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress

from tests.conftest import EmbeddedFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.raw_websocket import BINARY, RawWebSocket, close_of, encode_frame
from tests.harness.websocket_client import connected

SIZE = 8000
MESSAGES = 4000
"""32 MB: more than a reader's buffers hold, the kernel's included."""


async def flood(publisher: RawWebSocket) -> None:
    """Send as fast as the socket takes it."""
    frame = encode_frame(BINARY, bytes(SIZE))
    with suppress(OSError):
        for _ in range(MESSAGES):
            await publisher.send(frame)


async def with_a_flood(port: int, check: Callable[[RawWebSocket], Coroutine[None, None, None]]) -> None:
    """Let one client flood a channel in which another one doesn't read for a while, and check that one."""
    async with RawWebSocket(port) as publisher, RawWebSocket(port, receive_buffer=4096) as reader:
        for client in (publisher, reader):
            assert (await client.upgrade("/ws/c")).status == 101
        flooding = asyncio.create_task(flood(publisher))
        try:
            await check(reader)
        finally:
            flooding.cancel()
            await asyncio.wait([flooding])


async def test_without_a_limit_one_publisher_gets_the_readers_of_its_channel_closed(embedded: EmbeddedFactory) -> None:
    """What the limit is for."""
    (gateway,) = await embedded(1, max_bytes_per_second=0, max_messages_per_second=0)

    async def closed(reader: RawWebSocket) -> None:
        await wait_until(lambda: gateway.counters.disconnects["SLOW_CONSUMER"] == 1)
        assert close_of((await reader.frames_to_the_end())[-1]) == (1013, "slow consumer")

    await with_a_flood(gateway.port, closed)


async def test_one_publisher_can_not_get_the_readers_of_its_channel_closed(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_bytes_per_second=20_000)

    async def stays(reader: RawWebSocket) -> None:
        await wait_until(lambda: gateway.counters.limits_reached["bytes"] == 1)
        assert await stays_true(lambda: not gateway.counters.disconnects, 0.5)
        for _ in range(gateway.counters.messages_delivered):
            assert len((await reader.frame()).payload) == SIZE

    await with_a_flood(gateway.port, stays)


async def test_a_publisher_that_is_slowed_does_not_slow_others(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, max_messages_per_second=10)
    async with connected(*[f"{gateway.url}/ws/c"] * 3) as (flooder, healthy, listener):
        for _ in range(40):
            await flooder.send("x")
        await wait_until(lambda: gateway.counters.limits_reached["messages"] == 1)
        await healthy.send("hello")
        await wait_until(lambda: "hello" in listener.received)
        assert listener.received.count("x") < 40
