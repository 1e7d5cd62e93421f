"""The network to Redis swallows everything without closing: the failure that TCP itself notices after minutes."""

from __future__ import annotations

import asyncio
import time

from relay import Gateway
from tests.conftest import EmbeddedFactory, GatewayFactory, ProxyFactory
from tests.harness.conditions import stays_true, wait_until
from tests.harness.gateway_process import GatewayProcess
from tests.harness.health_probe import HealthProbe
from tests.harness.numbered_publisher import NumberedPublisher
from tests.harness.outage import STAYING, Outage, check_around_outage
from tests.harness.readiness import all_told_ready
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import connected

NOTICE_SECONDS = 5.0
STALL_SECONDS = 0.5


async def test_a_black_hole_is_noticed_and_survived(
    own_redis: RedisServer, proxy_to: ProxyFactory, gateways: GatewayFactory
) -> None:
    """With the default settings: noticed within 5 s, the event loop never stalls, and all is well when it heals."""
    proxy = await proxy_to(own_redis.port)
    pair = await gateways(2, **STAYING, broker_url=own_redis.url_of(port=proxy.port))
    urls = [f"{gateway.url}/ws/news" for gateway in pair]
    async with connected(*urls) as listeners, HealthProbe(pair[0].port) as first, HealthProbe(pair[1].port) as second:
        async with (
            NumberedPublisher(urls[0], "a", per_second=200) as one,
            NumberedPublisher(urls[1], "b", per_second=200) as two,
        ):
            await wait_until(lambda: all(len(client.received) > 100 for client in listeners))
            proxy.black_hole = True
            outage, lateness = Outage(client.received for client in listeners), first.lateness_seconds
            await all_told_ready(pair, False)
            await wait_until(lambda: one.endings and two.endings)
            # Without the time for which the machine itself stood still; on a quiet one that is next to nothing.
            stood_still = first.lateness_seconds - lateness
            assert time.monotonic() - outage.began - stood_still < NOTICE_SECONDS
            assert set(one.endings + two.endings) == {(1013, "delivery unknown")}
            # On a busy machine one link of a gateway may be given up well before the other.
            await wait_until(lambda: all(lost_links(gateway) == {"publications", "subscriptions"} for gateway in pair))
            proxy.black_hole = False
            await asyncio.gather(*(gateway.ready() for gateway in pair))
            outage.end()
            for publisher in (one, two):
                sessions = publisher.sessions
                await wait_until(lambda sessions=sessions: len(sessions) > 1 and len(sessions[-1].sent_at) > 100)
        assert max(first.stall_seconds, second.stall_seconds) < STALL_SECONDS
        await check_around_outage(listeners, [one, two], outage)
        await wait_until(lambda: min(first.answers, second.answers) > 50)
    assert all(gateway.records("gap") for gateway in pair)


def lost_links(gateway: GatewayProcess) -> set[str]:
    """Return which links to the bus a gateway has given up, by its log."""
    return {record["link"] for record in gateway.records("bus lost")}


def has_new_links(gateway: Gateway, before: int) -> bool:
    """Return whether a gateway has connected to the bus again with both links."""
    return gateway.counters.bus_connects >= before + 2


async def test_a_network_that_is_cut_again_and_again_heals_each_time(
    own_redis: RedisServer, proxy_to: ProxyFactory, embedded: EmbeddedFactory
) -> None:
    proxy = await proxy_to(own_redis.port)
    one, two = await embedded(2, **STAYING, broker_url=own_redis.url_of(port=proxy.port))
    await all_told_ready([one, two])
    async with connected(f"{one.url}/ws/a", f"{two.url}/ws/a") as (sender, receiver):
        for number in range(3):
            links = [gateway.counters.bus_connects for gateway in (one, two)]
            proxy.cut()
            # Neither Redis nor the gateways know of it yet.
            await wait_until(lambda links=links: all(map(has_new_links, (one, two), links)))
            await wait_until(lambda: own_redis.subscriptions("relay:a") == 2)
            await all_told_ready([one, two])
            await sender.send(str(number))
            assert await receiver.receive(number + 1) == [str(n) for n in range(number + 1)]


async def test_an_old_probe_is_not_held_against_a_new_link(
    own_redis: RedisServer, proxy_to: ProxyFactory, embedded: EmbeddedFactory
) -> None:
    """A probe that was swallowed with the old link says nothing about the new one, which must be left alone."""
    proxy = await proxy_to(own_redis.port)
    url = own_redis.url_of(port=proxy.port)
    fleet = await embedded(4, **STAYING, broker_url=url, broker_timeout=1.5, probe_interval=0.5)
    await all_told_ready(fleet)
    proxy.black_hole = True
    # Longer than the interval of the probes, so each gateway has one on its way; too short for being noticed.
    assert await stays_true(lambda: not any(gateway.counters.bus_losses for gateway in fleet), 0.8)
    proxy.cut()
    proxy.black_hole = False
    await wait_until(lambda: all(gateway.counters.bus_connects >= 4 for gateway in fleet))
    await all_told_ready(fleet)
    losses = [gateway.counters.bus_losses for gateway in fleet]
    assert await stays_true(lambda: [gateway.counters.bus_losses for gateway in fleet] == losses, 2.0)


async def test_a_redis_that_accepts_and_stays_silent_is_tried_again(
    own_redis: RedisServer, proxy_to: ProxyFactory, embedded: EmbeddedFactory
) -> None:
    """A connection attempt has a deadline of its own."""
    proxy = await proxy_to(own_redis.port)
    proxy.black_hole = True
    one, two = await embedded(
        2, **STAYING, broker_url=own_redis.url_of(port=proxy.port), broker_timeout=0.3, probe_interval=0.2
    )
    await wait_until(lambda: proxy.accepted >= 8, 10)
    await all_told_ready([one, two], False)
    proxy.black_hole = False
    await all_told_ready([one, two])
    async with connected(f"{one.url}/ws/a", f"{two.url}/ws/a") as (sender, receiver):
        await sender.send("at last")
        assert await receiver.receive(1) == ["at last"]
