"""Clients that vanish under load leave nothing behind and take nothing with them."""

from __future__ import annotations

import asyncio
import gc
import os
import random

import pytest

from relay import Gateway
from relay.clients.websocket import WebSocket
from relay.interest import Interest
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.fan_outs import EACH_FAN_OUT
from tests.harness.gateway_process import GatewayProcess
from tests.harness.inside import parts_of
from tests.harness.live_objects import live_objects
from tests.harness.numbered_publisher import NumberedPublisher
from tests.harness.raw_websocket import CLOSE, TEXT, RawWebSocket, encode_frame
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, all_arrived, connected

WAYS = ("reset", "close", "half a frame", "close frame", "during the handshake", "after sending")


async def come_and_go(port: int, channel: str, way: str, moment: float) -> None:
    """Connect, read nothing, and vanish in some way after a moment."""
    async with RawWebSocket(port) as raw:
        if way == "during the handshake":
            await raw.send(b"GET /ws/a HTTP/1.1\r\nHost: localhost\r\n")
            raw.abort()
            return
        assert (await raw.upgrade(f"/ws/{channel}")).status == 101
        await asyncio.sleep(moment)  # at random: it vanishes in the middle of anything
        if way == "half a frame":
            await raw.send(encode_frame(TEXT, b"never whole" * 10)[:20])
        elif way == "after sending":
            await raw.send(encode_frame(TEXT, b"x|0|") * 50)
        elif way == "close frame":
            await raw.send(encode_frame(CLOSE, b"\x03\xe8"))
        if way in ("reset", "half a frame"):
            raw.abort()


async def come_and_go_often(port: int, busy: str, seed: int, times: int) -> None:
    """Let a client vanish again and again, in all ways, on a busy channel and on channels of its own."""
    source = random.Random(seed)
    for number in range(times):
        way = WAYS[(seed + number) % len(WAYS)]
        channel = busy if number % 2 and way != "after sending" else f"{busy}-{seed}"
        await come_and_go(port, channel, way, source.uniform(0, 0.02))


@pytest.mark.parametrize("cluster", EACH_FAN_OUT, indirect=True)
async def test_those_who_stay_lose_nothing(
    cluster: list[GatewayProcess], channel: str, redis_server: RedisServer
) -> None:
    gateway = cluster[0]
    await come_and_go_often(gateway.port, channel, 0, 12)
    descriptors = gateway.descriptors
    url = f"{gateway.url}/ws/{channel}"
    async with connected(*[url] * 3) as staying:
        async with NumberedPublisher(url, "p", per_second=1000) as publisher:
            await asyncio.gather(*(come_and_go_often(gateway.port, channel, seed, 50) for seed in range(12)))
        assert not publisher.endings
        await all_arrived(staying, publisher.sent)
    await wait_until(lambda: gateway.descriptors <= descriptors)
    await wait_until(lambda: redis_server.channels(f"relay:{channel}*") == 0)
    assert not gateway.complaints()


async def test_nothing_is_left_behind(redis_server: RedisServer, prefix: str, embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, broker_url=redis_server.url, broker_prefix=prefix)
    await wait_until(lambda: gateway.ready)
    async with connected(f"{gateway.url}/ws/busy"):
        pass
    await wait_until(lambda: redis_server.channels(f"{prefix}busy*") == 0)
    before = leftovers(gateway)
    async with NumberedPublisher(f"{gateway.url}/ws/busy", "p", per_second=500):
        await asyncio.gather(*(come_and_go_often(gateway.port, "busy", seed, 20) for seed in range(10)))
    await wait_until(lambda: gateway.counters.connections_open == 0)
    await wait_until(lambda: redis_server.channels(f"{prefix}busy*") == 0)
    await wait_until(lambda: leftovers(gateway) == before, what=lambda: (before, leftovers(gateway)))
    assert gateway.counters.connections_accepted == sum(gateway.counters.connections_closed.values())


def leftovers(gateway: Gateway) -> dict[str, int]:
    """Count what a leak would make grow."""
    gc.collect()
    parts = parts_of(gateway)
    counts = {kind.__name__: live_objects(kind) for kind in (WebSocket, Interest)}
    counts["handshakes"] = len(parts.front_door.http.connections)
    counts["channels in the hub"] = len(parts.context.node.hub)
    counts["tasks"] = len(asyncio.all_tasks())
    counts["descriptors"] = len(os.listdir("/proc/self/fd"))
    return counts


async def test_a_crowd_that_vanishes_at_once_is_forgotten(cluster: list[GatewayProcess], channel: str) -> None:
    gateway = cluster[0]
    url = f"{gateway.url}/ws/{channel}"
    async with connected(url, url) as (sender, staying):
        descriptors = gateway.descriptors
        crowd = await asyncio.gather(*(WebSocketClient.connect(url) for _ in range(200)))
        sending = asyncio.create_task(send_many(sender, 1000))
        await staying.receive(100)
        await asyncio.gather(*(client.abort() for client in crowd))
        await sending
        assert await staying.receive(1000) == [str(number) for number in range(1000)]
        await wait_until(lambda: gateway.descriptors <= descriptors)
    assert not gateway.complaints()


async def send_many(sender: WebSocketClient, count: int) -> None:
    """Send numbers, and let others run between them."""
    for number in range(count):
        await sender.send(str(number))
        await asyncio.sleep(0)
