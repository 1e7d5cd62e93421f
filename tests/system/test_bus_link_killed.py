"""Redis cuts the gateways' subscriber connections, as it does when their output buffer is full."""

from __future__ import annotations

import asyncio

from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.deployment import Deployment
from tests.harness.history import check_history, label_of
from tests.harness.numbered_publisher import NumberedPublisher
from tests.harness.outage import STAYING, Outage, check_around_outage
from tests.harness.readiness import all_told_ready
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected


async def test_a_killed_subscriber_link_is_a_gap_and_comes_back(deployment: Deployment) -> None:
    redis, pair = deployment.redis, deployment.gateways
    urls, gaps = deployment.urls("news"), deployment.count("gap")
    async with connected(*urls) as listeners:
        async with NumberedPublisher(urls[0], "a", per_second=300) as publisher:
            await wait_until(lambda: all(len(client.received) > 100 for client in listeners))
            outage = Outage(client.received for client in listeners)
            for times in (1, 2):
                assert redis.kill_clients("pubsub") == 2
                await wait_until(lambda times=times: deployment.count("gap") == [gap + times for gap in gaps])
                await all_told_ready(pair)
            outage.end()
            assert redis.subscriptions("relay:news") == 2
            await asyncio.gather(*(client.receive(len(client.received) + 200) for client in listeners))
        assert not publisher.endings, "publishing goes on by another link"
        await check_around_outage(listeners, [publisher], outage)


async def test_messages_wait_while_a_gateway_is_deaf(own_redis: RedisServer, embedded: EmbeddedFactory) -> None:
    """A gateway that doesn't hear the bus sends nothing either: its own clients would miss it."""
    (gateway,) = await embedded(1, **STAYING, broker_url=own_redis.url)
    await wait_until(lambda: gateway.ready)
    async with connected(f"{gateway.url}/ws/a", f"{gateway.url}/ws/a") as (sender, receiver):
        for number in range(4):
            losses = gateway.counters.bus_losses
            await wait_until(lambda: own_redis.kill_clients("pubsub"))
            await wait_until(lambda losses=losses: gateway.counters.bus_losses > losses)
            for letter in "abcde":
                await sender.send(f"{letter}{number}")
            assert (await receiver.receive(5 * number + 5))[-5:] == [f"{letter}{number}" for letter in "abcde"]
        assert gateway.counters.gaps == gateway.counters.bus_losses == 4


async def test_a_killed_publishing_link_tells_its_publishers(own_redis: RedisServer, embedded: EmbeddedFactory) -> None:
    """What Redis had not answered is unknown; what came later waits, and goes out in order."""
    (gateway,) = await embedded(1, broker_url=own_redis.url)
    await wait_until(lambda: gateway.ready)
    async with connected(f"{gateway.url}/ws/a", f"{gateway.url}/ws/a") as (idle, receiver):
        async with NumberedPublisher(f"{gateway.url}/ws/a", "p", per_second=300) as publisher:
            await receiver.receive(100)
            assert own_redis.kill_clients("normal") >= 1
            await wait_until(lambda: gateway.counters.bus_losses >= 1)
            await wait_until(lambda: gateway.ready)
            await receiver.receive(len(receiver.received) + 100)
        # What was sent last is still on its way to the receiver, by way of Redis.
        last = (publisher.sessions[-1].name, len(publisher.sessions[-1].sent_at) - 1)
        await wait_until(lambda: label_of(receiver.received[-1]) == last)
        assert set(publisher.endings) <= {(1013, "delivery unknown")}
        assert idle.is_open
        anomalies = check_history(receiver.received, publisher.sent)
        assert not anomalies.duplicated + anomalies.reordered + anomalies.unknown
        unknown = gateway.counters.publish_failures["DELIVERY_UNKNOWN"]
        assert len(anomalies.lost) <= unknown + 100 * len(publisher.endings)
        if not publisher.endings:
            assert not anomalies.lost
