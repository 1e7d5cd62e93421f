"""Slow clients of channels whose namespaces say what becomes of them."""

from __future__ import annotations

import asyncio

import pytest

from relay import Gateway
from relay.clients.client import Client
from relay.message import make_message
from tests.centrifuge.transports.stream_client import StreamClient
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.inside import parts_of
from tests.harness.poll_client import PollClient
from tests.harness.raw_websocket import CLOSE, close_of, upgraded

pytestmark = pytest.mark.usefixtures("short_close_timeout", "each_fan_out")

NAMESPACES = {
    "last": {"slow_consumer": "latest"},
    "some": {"slow_consumer": "drop"},
    "all": {"slow_consumer": "close"},
    "kept": {"history_size": 5},
}


async def start(embedded: EmbeddedFactory, **settings: object) -> Gateway:
    """Start a gateway with a namespace for each policy."""
    (gateway,) = await embedded(1, namespaces=NAMESPACES, **settings)
    return gateway


def only_client(gateway: Gateway) -> Client:
    """Return the one client of a gateway."""
    (client,) = parts_of(gateway).context.registry
    assert isinstance(client, Client)
    return client


async def publish(gateway: Gateway, channel: str, *texts: str) -> None:
    """Publish messages in one tick, and deliver them."""
    node = parts_of(gateway).context.node
    submitted = [node.submit(make_message(channel, text)) for text in texts]
    node.hub.flush()
    await asyncio.gather(*submitted)


async def test_of_what_waits_for_a_websocket_only_the_newest_message_is_kept(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded)
    async with upgraded(gateway.port, "/ws/last:a", 1) as (client,):
        connection = only_client(gateway)
        await publish(gateway, "last:a", "0")
        connection.pause_writing()
        await publish(gateway, "last:a", "1")
        await publish(gateway, "last:a", "2", "3", "four" * 100)
        await publish(gateway, "last:a", "5" * 70_000, "6" * 70_000)
        assert connection.buffered == 70_010
        connection.resume_writing()
        await publish(gateway, "last:a", "7")
        assert [(await client.frame()).payload for _ in range(3)] == [b"0", b"6" * 70_000, b"7"]
    counters = gateway.counters
    assert (counters.deliveries_conflated, counters.deliveries_dropped, counters.deliveries) == (5, {}, 3)
    assert counters.bytes_delivered == 3 + 70_010 + 3


async def test_an_event_stream_keeps_what_it_is_told_of_a_gap_with_the_newest_message(
    embedded: EmbeddedFactory,
) -> None:
    gateway = await start(embedded)
    async with EventStreamClient(gateway.port, "/sse/last:a") as stream:
        stream_inside = only_client(gateway)
        stream_inside.pause_writing()
        await publish(gateway, "last:a", "1", "two\nlines")
        parts_of(gateway).context.node.gap(["last:a"], 0.5)
        await publish(gateway, "last:a", "3", "four\nlines")
        stream_inside.resume_writing()
        assert await stream.receive(1) == ["four\nlines"]
        assert stream.missed == [(0, None)]
    assert gateway.counters.deliveries_conflated == 3


async def test_a_poll_gets_the_newest_message_and_is_told_that_it_missed_some(embedded: EmbeddedFactory) -> None:
    gateway = await start(embedded, send_buffer_bytes=70_000)
    client = PollClient(gateway.port, "last:a")
    await client.poll(wait=0)
    for number in range(4):
        await publish(gateway, "last:a", f"{number}" * 30_000)
    assert await client.poll() == ["2" * 30_000, "3" * 30_000]
    assert (client.missed, gateway.counters.deliveries_conflated) == (1, 2)
    assert gateway.counters.deliveries == 2


@pytest.mark.parametrize(
    ("channel", "policy", "closed"),
    [
        ("some:a", "close", False),
        ("all:a", "drop", True),
        ("kept:a", "drop", True),
        ("a", "close", True),
        ("other:a", "drop", False),
    ],
)
async def test_a_namespace_says_otherwise_than_the_setting(
    embedded: EmbeddedFactory, channel: str, policy: str, closed: bool
) -> None:
    gateway = await start(embedded, slow_consumer=policy, send_buffer_bytes=70_000)
    async with upgraded(gateway.port, f"/ws/{channel}", 1) as (client,):
        connection = only_client(gateway)
        connection.pause_writing()
        for number in range(4):
            await publish(gateway, channel, f"{number}" * 30_000)
        if closed:
            await wait_until(lambda: gateway.counters.disconnects == {"SLOW_CONSUMER": 1})
            frames = await client.frames_to_the_end()
            assert [frame.opcode for frame in frames] == [CLOSE]
            assert close_of(frames[0]) == (1013, "slow consumer")
            assert gateway.counters.deliveries_dropped == {"closed": 3}, "two that waited, and the one without room"
        else:
            connection.resume_writing()
            assert [(await client.frame()).payload[:1] for _ in range(2)] == [b"0", b"1"]
            assert gateway.counters.deliveries_dropped == {"skipped": 2}
    assert gateway.counters.deliveries_conflated == 0


@pytest.mark.parametrize("channel", ["kept:a", "last:a", "some:a", "a"])
async def test_a_client_of_several_channels_is_closed_whatever_they_say(
    embedded: EmbeddedFactory, channel: str
) -> None:
    """What waits for it may be of any of them: of one with a history, where a hole would be told by nothing."""
    gateway = await start(embedded, slow_consumer="drop", send_buffer_bytes=70_000)
    async with StreamClient.http_stream(gateway.port) as client:
        await client.reply(1)
        assert "subscribe" in await client.ask(subscribe={"channel": channel})
        only_client(gateway).pause_writing()
        for number in range(4):
            await publish(gateway, channel, f"{number}" * 30_000)
        await wait_until(lambda: gateway.counters.disconnects == {"SLOW_CONSUMER": 1})
        told = await client.to_the_end()
        assert told[-1] == {"push": {"disconnect": {"code": 3008, "reason": "slow"}}}
    assert gateway.counters.deliveries_conflated == 0
