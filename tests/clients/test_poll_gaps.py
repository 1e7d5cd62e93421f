"""Polling clients of a gateway that could not hear the bus for a while."""

from __future__ import annotations

import asyncio

from relay import Gateway
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.inside import parts_of
from tests.harness.outage import STAYING
from tests.harness.poll_client import PollClient
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected


async def deafen(gateway: Gateway, redis: RedisServer) -> None:
    """Cut the gateway's subscriptions, and return when it has them again."""
    gaps = gateway.counters.gaps
    await wait_until(lambda: redis.kill_clients("pubsub"))
    await wait_until(lambda: gateway.counters.gaps > gaps)
    await wait_until(lambda: gateway.ready)


async def test_the_first_answer_after_a_gap_says_missed(own_redis: RedisServer, embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, **STAYING, broker_url=own_redis.url)
    await wait_until(lambda: gateway.ready)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    async with connected(f"{gateway.url}/ws/a") as (sender,):
        await sender.send("before")
        await wait_until(lambda: gateway.counters.deliveries == 1)
        await deafen(gateway, own_redis)
        await sender.send("after")
        await wait_until(lambda: gateway.counters.deliveries == 2)
        # An answer that got lost is given again, with what it said.
        lost = await client.ask(wait=0)
        assert lost.json["missed"] is True
        assert await client.poll(wait=0) == ["before", "after"]
        assert client.missed == 1
        await client.poll(wait=0)
        assert client.missed == 1


async def test_who_waits_is_told_at_once(own_redis: RedisServer, embedded: EmbeddedFactory) -> None:
    """It can fetch elsewhere what it has missed, instead of waiting for the next message."""
    (gateway,) = await embedded(1, **STAYING, broker_url=own_redis.url)
    await wait_until(lambda: gateway.ready)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    polling = asyncio.create_task(client.poll(wait=25))
    await deafen(gateway, own_redis)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert await polling == []
    assert client.missed == 1


async def test_clients_of_other_channels_are_told_nothing(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    clients = [PollClient(gateway.port, channel) for channel in ("a", "b", "a")]
    for client in clients:
        await client.poll(wait=0)
    parts_of(gateway).context.node.gap(["a", "c"], 0.5)
    for client in clients:
        await client.poll(wait=0)
    assert [client.missed for client in clients] == [1, 0, 1]


async def test_what_was_heard_before_the_gap_stands_before_it(embedded: EmbeddedFactory) -> None:
    """Also when a write delay keeps it back."""
    (gateway,) = await embedded(1, write_delay=500)
    client = PollClient(gateway.port, "a")
    await client.poll(wait=0)
    node = parts_of(gateway).context.node
    async with connected(f"{gateway.url}/ws/a") as (sender,):
        await sender.send("one")
        await wait_until(lambda: gateway.counters.deliveries == 1)
        await sender.send("two")
        await wait_until(lambda: gateway.counters.messages_received == 2)
        node.gap(["a"], 0.5)
        (subscription,) = parts_of(gateway).polling_clients
        *messages, gap = subscription._backlog._pieces
        assert gap is None
        assert b"two" in b"".join(piece for piece in messages if piece is not None)
