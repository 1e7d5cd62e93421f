"""Clients of a channel with a history that go from one gateway to another miss nothing, or know that they may have."""

from __future__ import annotations

import asyncio

import pytest

from relay import Gateway
from relay.clients.event_stream import EventStream
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.event_source import EventStreamClient
from tests.harness.inside import parts_of
from tests.harness.poll_client import PollClient
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected

CHANNEL = "kept:a"


@pytest.fixture
async def pair(embedded: EmbeddedFactory, own_redis: RedisServer) -> list[Gateway]:
    """Two gateways on a Redis of their own."""
    started = await embedded(
        2, broker_url=own_redis.url, namespaces={"kept": {"history_size": 20, "history_bytes": 4_000_000}}
    )
    await wait_until(lambda: all(gateway.ready for gateway in started))
    return started


async def publish(gateway: Gateway, *texts: str) -> None:
    """Publish messages."""
    for text in texts:
        await gateway.publish(CHANNEL, text)


async def test_an_event_stream_goes_on_at_another_gateway(pair: list[Gateway]) -> None:
    here, there = pair
    async with EventStreamClient(here.port, f"/sse/{CHANNEL}") as stream:
        await publish(here, "1", "2")
        assert await stream.receive(2) == ["1", "2"]
        last = stream.parser.last_id
    await publish(here, "3", "4")
    for gateway in (there, here):
        async with EventStreamClient(gateway.port, f"/sse/{CHANNEL}", f"Last-Event-ID: {last}") as stream:
            await publish(there, "live")
            received = await stream.receive(3)
            assert received[:3] == ["3", "4", "live"]
            assert stream.missed == []


async def test_any_gateway_answers_the_next_poll(pair: list[Gateway]) -> None:
    client = PollClient(pair[0].port, CHANNEL)
    await client.poll(wait=0)
    for number in range(12):
        await publish(pair[0], f"{number}")
        client.port = pair[number % 2].port
        assert await client.poll() == [f"{number}"]
    assert client.missed == 0


async def test_messages_that_are_published_while_polls_change_gateways_come_once(pair: list[Gateway]) -> None:
    client = PollClient(pair[0].port, CHANNEL)
    await client.poll(wait=0)
    sent = [f"{number}" for number in range(100)]

    async def publish_all() -> None:
        for text in sent:
            await publish(pair[1], text)

    publishing = asyncio.create_task(publish_all())
    turn = 0
    async with asyncio.timeout(30):
        while len(client.received) < len(sent) and not client.missed:
            turn += 1
            client.port = pair[turn % 2].port
            await client.poll(wait=1)
        await publishing
    assert (client.received, client.missed) == (sent, 0)


async def test_a_client_that_was_away_for_too_long_is_told(pair: list[Gateway]) -> None:
    here, there = pair
    client = PollClient(here.port, CHANNEL)
    await client.poll(wait=0)
    async with EventStreamClient(here.port, f"/sse/{CHANNEL}") as stream:
        last = await stream.position()
    await publish(here, *(f"{number}" for number in range(21)))
    client.port = there.port
    assert (await client.poll(), client.missed) == ([], 1)
    async with EventStreamClient(there.port, f"/sse/{CHANNEL}", f"Last-Event-ID: {last}") as stream:
        await publish(here, "live")
        assert await stream.receive(1) == ["live"]
        assert stream.missed == [(0, client.cursor)]
    assert (await client.poll(), client.missed) == (["live"], 1)


async def test_a_gap_that_the_history_fills_closes_and_tells_nobody(
    pair: list[Gateway], own_redis: RedisServer
) -> None:
    here, there = pair
    await there.publish(CHANNEL, "0")
    async with (
        connected(f"{here.url}/ws/{CHANNEL}?history=1") as (socket,),
        EventStreamClient(here.port, f"/sse/{CHANNEL}?history=1") as stream,
    ):
        gaps = here.counters.gaps
        for number in range(1, 6):
            await wait_until(lambda: own_redis.kill_clients("pubsub"))
            await there.publish(CHANNEL, f"{number}")
        await wait_until(lambda: here.counters.gaps > gaps)
        expected = [f"{number}" for number in range(6)]
        assert await socket.receive(6) == expected
        assert await stream.receive(6) == expected
        assert stream.missed == []
        assert socket.is_open
        assert not len(parts_of(here).context.missed_messages)


async def test_a_gap_that_it_cannot_fill_is_told_to_those_who_missed_something(
    pair: list[Gateway], own_redis: RedisServer
) -> None:
    """The history of one channel is gone; in the other nothing was published."""
    here, there = pair
    await there.publish(CHANNEL, "0")
    async with (
        connected(f"{here.url}/ws/{CHANNEL}", f"{here.url}/ws/kept:quiet") as (socket, quiet),
        EventStreamClient(here.port, f"/sse/{CHANNEL}") as stream,
    ):
        await stream.position()
        await asyncio.to_thread(own_redis.admin.flushall)
        await there.publish(CHANNEL, "1")
        assert await socket.ended() == (1012, "messages missed")
        await wait_until(lambda: there.ready and here.ready)
        await there.publish(CHANNEL, "2")
        assert (await stream.receive(1))[-1] in ("1", "2")
        assert len(stream.missed) == 1
        assert quiet.is_open


async def test_a_stream_that_was_too_slow_resumes_where_it_stopped(pair: list[Gateway]) -> None:
    """It is closed with a code after which a client comes back."""
    here, there = pair
    sent = [f"{number}" * 90_000 for number in range(10)]
    async with EventStreamClient(here.port, f"/sse/{CHANNEL}", receive_buffer=4096) as stream:
        await stream.position()
        (client,) = parts_of(here).context.registry
        assert isinstance(client, EventStream)
        await publish(there, sent[0])
        assert await stream.receive(1) == sent[:1]
        client.pause_writing()
        await publish(there, *sent[1:])
        await publish(there, *(f"{number}" for number in range(6)), "x" * 400_000)
        await wait_until(lambda: here.counters.disconnects == {"SLOW_CONSUMER": 1})
        received = await stream.to_the_end()
        assert stream.closed == (1013, "slow consumer")
        last = stream.parser.last_id
    expected = [*sent, *(f"{number}" for number in range(6)), "x" * 400_000]
    assert received == expected[: len(received)]
    async with EventStreamClient(there.port, f"/sse/{CHANNEL}", f"Last-Event-ID: {last}") as stream:
        rest = await stream.receive(len(expected) - len(received))
        assert [*received, *rest] == expected
        assert stream.missed == []
