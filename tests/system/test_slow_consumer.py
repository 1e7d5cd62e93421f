"""A client that doesn't read hurts nobody but itself."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from relay.clients.context import CLOSE_TIMEOUT_SECONDS
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.fan_outs import EACH_FAN_OUT, each_fan_out_and_loop
from tests.harness.gateway_process import GatewayProcess
from tests.harness.history import label_of, labelled
from tests.harness.raw_websocket import CLOSE, TEXT, RawWebSocket, close_of, upgraded
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, all_arrived, connected

each_cluster = pytest.mark.parametrize("cluster", EACH_FAN_OUT, indirect=True)

SIZE = 32_000
"""Bytes of a message that fills buffers."""


async def flood(sender: WebSocketClient, listeners: list[WebSocketClient], count: int, first: int = 0) -> None:
    """Send large messages, not faster than the listeners read them; return when they have all of them."""
    for number in range(first, first + count):
        await sender.send(labelled("p", number, SIZE))
        await arrived(listeners, number - 20)
    await arrived(listeners, first + count)


async def arrived(listeners: list[WebSocketClient], count: int) -> None:
    """Wait until each listener has so many messages."""
    await wait_until(lambda: all(len(client.received) >= count for client in listeners))


@each_cluster
async def test_a_stalled_client_is_closed_and_the_others_do_not_notice(
    cluster: list[GatewayProcess], channel: str
) -> None:
    gateway = cluster[0]
    url = f"{gateway.url}/ws/{channel}"
    async with connected(*[url] * 6) as (sender, *healthy):
        await flood(sender, healthy, 100)
        async with upgraded(gateway.port, f"/ws/{channel}", 10, receive_buffer=4096) as stalled:
            await flood(sender, healthy, 300, first=100)
            await all_arrived(healthy, {"p": 400})
            # A gateway that waited for stalled clients would do so until it drops them.
            assert slowest(healthy) < CLOSE_TIMEOUT_SECONDS
            # A client that reads again at once learns why it was closed.
            frames = await stalled[0].frames_to_the_end()
            assert close_of(frames[-1]) == (1013, "slow consumer")
            numbers = [label_of(frame.payload).number for frame in frames[:-1]]
            assert numbers == list(range(100, 100 + len(numbers))), "what it got is the beginning, without a hole"
        assert all(client.is_open for client in [sender, *healthy])


async def test_memory_is_bounded_by_the_buffers_of_stalled_clients(
    cluster: list[GatewayProcess], channel: str, redis_server: RedisServer
) -> None:
    """Each on a channel of its own: what waits for one is not what waits for another."""
    gateway, count, rounds = cluster[0], 10, 120
    names = [f"{channel}-{number}" for number in range(count)]
    payload = bytes(60_000)
    async with AsyncExitStack() as stack:
        healthy = await stack.enter_async_context(connected(*(f"{gateway.url}/ws/{name}" for name in names)))
        for name in names:
            await stack.enter_async_context(upgraded(gateway.port, f"/ws/{name}", 1, receive_buffer=4096))
        before = gateway.rss_bytes
        peak = 0
        for number in range(rounds):
            for name in names:
                redis_server.admin.publish(f"relay:{name}", payload)
            await arrived(healthy, number + 1)
            peak = max(peak, gateway.rss_bytes - before)
        # 72 MB for ten stalled clients, of which 1 MiB each may wait in the gateway.
        assert peak < 24_000_000


def slowest(clients: list[WebSocketClient]) -> float:
    """Return the longest time between the arrivals of one message at the clients, in seconds."""
    arrivals: list[tuple[float, ...]] = list(zip(*(client.received_at for client in clients), strict=True))
    return max(max(moments) - min(moments) for moments in arrivals)


@pytest.mark.usefixtures("each_fan_out")
async def test_a_stalled_client_that_never_reads_again_is_dropped(
    embedded: EmbeddedFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("relay.gateway.parts.CLOSE_TIMEOUT_SECONDS", 1.0)
    (gateway,) = await embedded(1)
    url = f"{gateway.url}/ws/a"
    async with connected(url, url) as (sender, listener), RawWebSocket(gateway.port, receive_buffer=4096) as stalled:
        await stalled.upgrade("/ws/a")
        await flood(sender, [listener], 300)
        await wait_until(lambda: gateway.counters.disconnects["SLOW_CONSUMER"] == 1)
        assert gateway.counters.deliveries_dropped["closed"] > 0
        await wait_until(lambda: gateway.counters.connections_open == 2, 8)
        await all_arrived([listener], {"p": 300})


@each_fan_out_and_loop
@pytest.mark.usefixtures("each_fan_out")
async def test_with_the_drop_policy_a_slow_client_stays_and_misses_the_newest(
    gateways: GatewayFactory, event_loop: str
) -> None:
    (gateway,) = await gateways(1, slow_consumer="drop", event_loop=event_loop)
    await check_drop(gateway)


async def check_drop(gateway: GatewayProcess) -> None:
    """Stall a client, let it read again, and see that it lacks messages and goes on."""
    url = f"{gateway.url}/ws/a"
    async with connected(url, url) as (sender, listener), RawWebSocket(gateway.port, receive_buffer=4096) as slow:
        await slow.upgrade("/ws/a")
        await flood(sender, [listener], 50)
        before = gateway.rss_bytes
        await flood(sender, [listener], 350, first=50)
        assert gateway.rss_bytes - before < 20_000_000
        await all_arrived([listener], {"p": 400})
        numbers: list[int] = []
        while not numbers or numbers[-1] < 400:
            # Once it has read enough there is room, and the next message comes.
            if len(numbers) % 10 == 0:
                await sender.send(labelled("p", 400 + len(numbers)))
            frame = await slow.frame()
            assert frame.opcode == TEXT
            numbers.append(label_of(frame.payload).number)
        assert numbers == sorted(set(numbers))
        assert numbers[:10] == list(range(10)), "the oldest ones are kept"
        assert len(numbers) < 400
        await slow.send_frame(CLOSE)
        assert (await slow.frames_to_the_end())[-1].opcode == CLOSE


@pytest.mark.usefixtures("each_fan_out")
async def test_dropped_messages_are_counted(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, slow_consumer="drop", send_buffer_bytes=200_000)
    url = f"{gateway.url}/ws/a"
    async with connected(url, url) as (sender, listener), RawWebSocket(gateway.port, receive_buffer=4096) as slow:
        await slow.upgrade("/ws/a")
        await flood(sender, [listener], 300)
        await all_arrived([listener], {"p": 300})
        counters = gateway.counters
        dropped = counters.deliveries_dropped["skipped"]
        assert counters.deliveries + dropped == 600
        assert 0 < dropped < 300
        reading = asyncio.create_task(slow.frames_to_the_end())
        await sender.close()
        await listener.close()
        await gateway.drain()
        frames = [frame for frame in await reading if frame.opcode == TEXT]
        assert len(frames) == 300 - dropped
        assert counters.deliveries_dropped == {"skipped": dropped}
        written = 300 + len(frames)
        assert counters.bytes_delivered % written == 0
        assert counters.bytes_delivered // written == len(frames[0].payload) + 4  # what was dropped isn't counted


@pytest.mark.usefixtures("each_fan_out")
async def test_a_client_whose_buffer_makes_no_progress_is_dropped(embedded: EmbeddedFactory) -> None:
    """Less than the buffer's limit waits for it, so only time can tell."""
    (gateway,) = await embedded(1, write_timeout=1, send_buffer_bytes=50_000_000)
    url = f"{gateway.url}/ws/a"
    async with connected(url, url) as (sender, listener), RawWebSocket(gateway.port, receive_buffer=4096) as stalled:
        await stalled.upgrade("/ws/a")
        await flood(sender, [listener], 300)
        await wait_until(lambda: gateway.counters.disconnects["WRITE_TIMEOUT"] == 1)
        await wait_until(lambda: gateway.counters.connections_open == 2)
        assert gateway.counters.deliveries_dropped == {}
        assert sender.is_open
        assert listener.is_open


@pytest.mark.usefixtures("each_fan_out")
async def test_a_slow_client_that_makes_progress_is_kept(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, write_timeout=1.5, send_buffer_bytes=50_000_000)
    url = f"{gateway.url}/ws/a"
    async with connected(url, url) as (sender, listener), RawWebSocket(gateway.port, receive_buffer=65536) as slow:
        await slow.upgrade("/ws/a")
        await flood(sender, [listener], 300)
        began = time.monotonic()
        for number in range(300):
            # Slowly: more than the write timeout for all of it.
            await wait_until(lambda due=began + number * 0.009: time.monotonic() > due)
            assert label_of((await slow.frame()).payload).number == number
        assert not gateway.counters.disconnects


async def test_latency_of_others_is_the_same_beside_stalled_clients(gateways: GatewayFactory) -> None:
    (gateway,) = await gateways(1, write_timeout=60, send_buffer_bytes=2_000_000, slow_consumer="drop")
    url = f"{gateway.url}/ws/a"
    async with connected(url, url, f"{gateway.url}/ws/full", f"{gateway.url}/ws/full") as (one, two, sender, listener):
        before = await latency(one, two)
        async with upgraded(gateway.port, "/ws/full", 20, receive_buffer=4096):
            await flood(sender, [listener], 200)
            # What else the machine does may take the processor away once; stalled clients would do so each time.
            latencies = [await latency(one, two) for _ in range(3)]
            assert min(latencies) < 2 * before + 0.005


async def latency(sender: WebSocketClient, receiver: WebSocketClient, count: int = 200) -> float:
    """Return the median time of a message from one client to another, in seconds."""
    delays = []
    for _ in range(count):
        sent_at = time.monotonic()
        await sender.send("?")
        received = await receiver.receive(len(receiver.received) + 1)
        delays.append(receiver.received_at[len(received) - 1] - sent_at)
    return sorted(delays)[count // 2]
