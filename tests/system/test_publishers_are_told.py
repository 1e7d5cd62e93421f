"""Whatever happens to Redis or to the gateway: a message is delivered once, or its publisher hears that it was not."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from relay import Gateway
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.deployment import EVENT_LOOPS
from tests.harness.history import label_of, labelled
from tests.harness.inside import parts_of
from tests.harness.redis_server import RedisServer
from tests.harness.redis_witness import RedisWitness
from tests.harness.websocket_client import WebSocketClient, connected

TOLD = 1013


async def started(embedded: EmbeddedFactory, redis: RedisServer, **settings: float) -> Gateway:
    """Return a gateway that is ready."""
    (gateway,) = await embedded(1, broker_url=redis.url, **settings)
    await wait_until(lambda: gateway.ready)
    return gateway


async def test_a_drain_while_redis_is_gone_tells_publishers_that_nothing_was_published(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    gateway = await started(embedded, own_redis, publish_timeout=0.5)
    url = f"{gateway.url}/ws/a"
    async with connected(*[url] * 20) as publishers, connected(*[url] * 5) as listeners:
        own_redis.kill()
        await wait_until(lambda: not gateway.ready)
        for client in publishers:
            await client.send("in vain")
        await wait_until(lambda: gateway.counters.messages_received == 20)
        await gateway.drain()
        assert {await client.ended() for client in publishers} == {(TOLD, "bus unavailable")}
        assert {await client.ended() for client in listeners} == {(1001, "going away")}
    assert gateway.counters.publish_failures == {"BUS_UNAVAILABLE": 20}


async def test_a_drain_while_redis_is_silent_tells_publishers_that_nobody_knows(
    own_redis: RedisServer, embedded: EmbeddedFactory
) -> None:
    gateway = await started(embedded, own_redis, publish_timeout=0.3, broker_timeout=0.3)
    async with connected(*[f"{gateway.url}/ws/a"] * 20) as publishers:
        own_redis.pause()
        for client in publishers:
            await client.send("in doubt")
        await wait_until(lambda: gateway.counters.messages_received == 20)
        await gateway.drain()
        assert {(await client.ended())[0] for client in publishers} == {TOLD}
        own_redis.resume()


async def test_a_drain_waits_for_a_redis_that_comes_back(own_redis: RedisServer, embedded: EmbeddedFactory) -> None:
    gateway = await started(embedded, own_redis, publish_timeout=30, broker_timeout=30)
    other = await started(embedded, own_redis)
    async with connected(f"{other.url}/ws/a") as (listener,), connected(*[f"{gateway.url}/ws/a"] * 20) as publishers:
        own_redis.pause()
        for number, client in enumerate(publishers):
            await client.send(labelled(f"p{number}", 0))
        await wait_until(lambda: gateway.counters.messages_received == 20)
        draining = asyncio.create_task(gateway.drain())
        await wait_until(lambda: parts_of(gateway).context.registry.draining)
        own_redis.resume()
        assert {await client.ended() for client in publishers} == {(1001, "going away")}
        await draining
        await listener.receive(20)
    assert not gateway.counters.publish_failures


class Session:
    """One client that sends numbered messages until its connection ends.

    A ping after some of them: its answer means that the gateway has read everything before.

    Attributes:
        name: of its messages.
        read: how many of its messages the gateway has read for certain.
        sent: how many it has handed to its socket.
    """

    def __init__(self, name: str, client: WebSocketClient, rng: random.Random) -> None:
        self.name = name
        self.client = client
        self.read = 0
        self.sent = 0
        self._rng = rng

    async def run(self) -> None:
        """Publish until the end."""
        with suppress(ConnectionClosed):
            while True:
                for _ in range(self._rng.choice((1, 1, 3, 40))):
                    self.sent += 1
                    await self.client.send(labelled(self.name, self.sent - 1, self._rng.choice((0, 300, 5000))))
                if self._rng.random() < 0.5:
                    sent = self.sent
                    await self.client.flushed()
                    self.read = sent
                await asyncio.sleep(self._rng.choice((0, 0.001, 0.01)))  # a rate that changes at random

    def judge(self, published: list[int]) -> list[str]:
        """Return what is wrong with what Redis published of this session."""
        wrong = []
        if published != list(range(len(published))):
            wrong.append(f"holes, doubles or a changed order: {published}")
        told = self.client.close_code in (TOLD, 1006)
        if not told and len(published) < self.read:
            wrong.append(f"{self.read} were read, {len(published)} published")
        return [f"{self.name} ({self.client.close_code} {self.client.close_reason}): {reason}" for reason in wrong]


async def trouble(redis: RedisServer, rng: random.Random) -> None:
    """Let something happen to Redis that it survives with its subscribers."""
    kind = rng.choice(("pause", "cut", "both"))
    if kind != "cut":
        redis.pause()
        await asyncio.sleep(rng.choice((0.02, 0.1, 0.5)))  # at random: shorter and longer than the timeouts
        redis.resume()
    if kind != "pause":
        await asyncio.to_thread(redis.kill_clients, "normal")
    await asyncio.sleep(rng.choice((0, 0.05)))  # at random, as above


@pytest.mark.parametrize(("seed", "event_loop"), [*enumerate(EVENT_LOOPS)])
async def test_no_message_is_lost_in_silence_doubled_or_overtaken(
    own_redis: RedisServer, gateways: GatewayFactory, seed: int, event_loop: str
) -> None:
    rng = random.Random(seed)
    (gateway,) = await gateways(
        1,
        broker_url=own_redis.url,
        broker_timeout=0.3,
        probe_interval=0.1,
        publish_timeout=0.3,
        publish_buffer_bytes=65_536,
        drain_seconds=0.2,
        event_loop=event_loop,
    )
    sessions: list[Session] = []

    async def publish(name: str) -> None:
        for life in itertools.count():
            try:
                client = await WebSocketClient.connect(f"{gateway.url}/ws/a")
            except (InvalidHandshake, OSError, EOFError):
                if not gateway.running:
                    return
                await asyncio.sleep(0.02)  # how often a client comes back
                continue
            sessions.append(Session(f"{name}.{life}", client, rng))
            await sessions[-1].run()
            await client.ended()

    async with RedisWitness(own_redis.port, "relay:a") as witness:
        publishers = [asyncio.create_task(publish(f"p{number}")) for number in range(12)]
        await wait_until(lambda: len(sessions) == 12)
        for _ in range(4):
            await trouble(own_redis, rng)
        happening = asyncio.create_task(trouble(own_redis, rng))
        await asyncio.sleep(rng.choice((0.01, 0.03)))  # at random: in the middle of the trouble
        gateway.signal(signal.SIGTERM)
        await wait_until(lambda: not gateway.running, 20)
        await happening
        await asyncio.gather(*publishers)
        published: dict[str, list[int]] = {session.name: [] for session in sessions}
        for label in map(label_of, witness.payloads):
            published[label.publisher].append(label.number)
    assert [wrong for session in sessions for wrong in session.judge(published[session.name])] == []
