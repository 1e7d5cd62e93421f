"""Redis stops answering for a while, as it does during a snapshot, a swap or a virtual machine's move."""

from __future__ import annotations

import asyncio

from tests.conftest import GatewayFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.deployment import Deployment
from tests.harness.health_probe import HealthProbe
from tests.harness.numbered_publisher import NumberedPublisher
from tests.harness.outage import STAYING, Outage, check_around_outage
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import all_arrived, connected

STALL_SECONDS = 0.5
"""Longest time for which a gateway may be silent."""


async def test_a_pause_of_a_second_is_only_a_delay(deployment: Deployment) -> None:
    redis, pair = deployment.redis, deployment.gateways
    urls, losses = deployment.urls("news"), deployment.count("bus lost")
    async with connected(*urls * 2) as listeners:
        async with (
            NumberedPublisher(urls[0], "a", per_second=300) as one,
            NumberedPublisher(urls[1], "b", per_second=300) as two,
        ):
            await wait_until(lambda: all(len(client.received) > 200 for client in listeners))
            redis.pause()
            async with HealthProbe(pair[0].port) as first, HealthProbe(pair[1].port) as second:
                assert await stays_true(lambda: not one.endings + two.endings, 1.0)
            redis.resume()
            assert max(first.stall_seconds, second.stall_seconds) < STALL_SECONDS
            count = len(listeners[0].received)
            await listeners[0].receive(count + 600, within=10)
        sent = one.sent | two.sent
        assert len(sent) == 2, "no publisher was closed"
        await all_arrived(listeners, sent)
        assert all(client.is_open for client in listeners)
    assert deployment.count("bus lost") == losses


async def test_a_long_pause_closes_publishers_and_never_duplicates(
    own_redis: RedisServer, gateways: GatewayFactory
) -> None:
    pair = await gateways(2, **STAYING, broker_url=own_redis.url, broker_timeout=1, probe_interval=0.3)
    urls = [f"{gateway.url}/ws/news" for gateway in pair]
    async with connected(*urls * 2) as listeners:
        async with (
            NumberedPublisher(urls[0], "a", per_second=300) as one,
            NumberedPublisher(urls[1], "b", per_second=300) as two,
        ):
            await wait_until(lambda: all(len(client.received) > 200 for client in listeners))
            own_redis.pause()
            outage = Outage(client.received for client in listeners)
            async with HealthProbe(pair[0].port) as first, HealthProbe(pair[1].port) as second:
                await wait_until(lambda: one.endings and two.endings)
                await asyncio.gather(*(gateway.ready(False) for gateway in pair))
            assert max(first.stall_seconds, second.stall_seconds) < STALL_SECONDS
            assert set(one.endings + two.endings) == {(1013, "delivery unknown")}
            own_redis.resume()
            await asyncio.gather(*(gateway.ready() for gateway in pair))
            outage.end()
            for publisher in (one, two):
                sessions = publisher.sessions
                await wait_until(lambda sessions=sessions: len(sessions) > 1 and len(sessions[-1].sent_at) > 100, 10)
        # What Redis had received before the pause came after it, late but once.
        await check_around_outage(listeners, [one, two], outage)
