"""Clients of a protocol of their own that are slow, silent, or closed."""

from __future__ import annotations

import asyncio
import json

import pytest

from relay import Gateway
from tests.harness.conditions import wait_until
from tests.harness.multiplexed_client import MultiplexedClient, multiplexed
from tests.harness.raw_websocket import TEXT, RawWebSocket, close_of
from tests.system.multiplexed_pair import Pair, url_of
from tests.system.multiplexed_pair import _registered as _registered
from tests.system.multiplexed_pair import pair as pair


async def flood(publisher: MultiplexedClient, healthy: MultiplexedClient, channel: str, count: int) -> None:
    """Publish large messages, not faster than a healthy client reads them."""
    before = len(healthy.received)
    for number in range(count):
        await publisher.publish(channel, [number, "x" * 32_000])
        await healthy.receive(before + number + 1)


async def stalled(stack_client: RawWebSocket, *channels: str) -> None:
    """Subscribe a client, and let it read nothing from then on."""
    assert (await stack_client.upgrade("/multiplexed")).status == 101
    for number, name in enumerate(channels):
        await stack_client.send_frame(TEXT, json.dumps({"id": number + 1, "subscribe": name}).encode())
        assert json.loads((await stack_client.frame()).payload) == {"id": number + 1, "ok": True}


@pytest.mark.usefixtures("each_fan_out")
async def test_a_slow_client_is_closed_with_the_code_of_the_protocol(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that it may read at the machine's pace what stands before its close frame.
    monkeypatch.setattr("relay.gateway.parts.CLOSE_TIMEOUT_SECONDS", 60.0)
    here, there = await pair(send_buffer_bytes=500_000)
    async with (
        multiplexed(url_of(there), url_of(here)) as (publisher, healthy),
        RawWebSocket(here.port, receive_buffer=4096) as slow,
    ):
        await healthy.subscribe("a", "b")
        await stalled(slow, "a", "b")
        await flood(publisher, healthy, "a", 100)
        await flood(publisher, healthy, "b", 100)
        await wait_until(lambda: here.counters.disconnects["SLOW_CONSUMER"] == 1)
        frames = await slow.frames_to_the_end()
        assert close_of(frames[-1]) == (4002, "slow consumer")
        assert json.loads(frames[-2].payload) == {"closing": "slow consumer"}
        numbers = [json.loads(frame.payload)["data"][0] for frame in frames[:-2]]
        assert numbers == list(range(len(numbers)))
        assert healthy.is_open
        assert here.counters.deliveries_dropped["closed"] > 0
    await wait_until(lambda: here.counters.connections_open == 0)


async def test_a_client_that_asks_and_does_not_read_is_closed_whatever_the_policy(pair: Pair) -> None:
    """Answers must not be left out, and must not fill the memory."""
    here, _ = await pair(send_buffer_bytes=70_000, slow_consumer="drop")
    async with RawWebSocket(here.port, receive_buffer=4096) as slow:
        await stalled(slow)
        request = json.dumps({"id": 1, "unsubscribe": "x" * 200}).encode()
        asking = asyncio.create_task(ask_for_ever(slow, request))
        await wait_until(lambda: here.counters.disconnects["SLOW_CONSUMER"] == 1)
        asking.cancel()
        await asyncio.wait([asking])
        assert (here.counters.deliveries_dropped, here.counters.bytes_dropped) == ({}, 0)


async def ask_for_ever(client: RawWebSocket, request: bytes) -> None:
    """Send requests, and read no answers."""
    while True:
        await client.send_frame(TEXT, request)
        await asyncio.sleep(0)


@pytest.mark.usefixtures("each_fan_out")
async def test_a_drain_closes_with_the_code_of_the_protocol_behind_everything_else(pair: Pair) -> None:
    here, there = await pair()
    async with multiplexed(url_of(here), url_of(there)) as (client, other):
        await client.subscribe("a", "b")
        await other.subscribe("a")
        answers = [await client.begin(publish={"channel": "ab"[n % 2], "data": n}) for n in range(200)]
        await wait_until(lambda: here.counters.messages_received >= 1)
        accepted = await drained(here, client)
        assert client.pushes == [{"closing": "going away"}]
        done = [answer for answer in answers if answer.done() and not answer.cancelled()]
        # What crosses the close frame is published, and can't be answered any more.
        assert 0 < len(done) <= accepted
        assert done == answers[: len(done)]
        assert all(answer.exception() is None for answer in done)
        for first, name in enumerate("ab"):
            numbers = [number for channel, number in client.received if channel == name]
            assert numbers == list(range(first, first + 2 * len(numbers), 2))
        assert await other.receive(accepted // 2) == [("a", n) for n in range(0, accepted // 2 * 2, 2)]


async def drained(gateway: Gateway, client: MultiplexedClient) -> int:
    """Drain a gateway; return how many messages it has published."""
    await gateway.drain()
    assert await client.ended() == (4001, "going away")
    return gateway.counters.messages_received


async def test_its_own_pings_keep_clients_and_find_those_that_have_gone(pair: Pair) -> None:
    here, _ = await pair(ping_interval=0.5, ping_timeout=0.3)
    silent = await MultiplexedClient.connect(url_of(here), pongs=False)
    async with multiplexed(url_of(here)) as (client,):
        assert await silent.ended() == (4003, "keepalive timeout")
        assert silent.pings == 1
        await wait_until(lambda: client.pings >= 4)
        assert client.is_open
    assert here.counters.disconnects == {"KEEPALIVE_TIMEOUT": 1}
