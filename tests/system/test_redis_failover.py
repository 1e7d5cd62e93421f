"""A failover that keeps connections: the Redis in use becomes a replica of another one."""

from __future__ import annotations

import asyncio

from tests.conftest import GatewayFactory, ProxyFactory, RedisFactory
from tests.harness.http_response import send_request
from tests.harness.outage import STAYING
from tests.harness.websocket_client import connected

PUBLISH = b"POST /publish/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\nConnection: close\r\n\r\nfor nobody"


async def test_a_gateway_on_a_demoted_redis_says_so_and_follows_its_name(
    redis_with: RedisFactory, proxy_to: ProxyFactory, gateways: GatewayFactory
) -> None:
    """It tells back ends and new clients the truth, keeps its clients, and is on the new primary once the name is."""
    old, new = redis_with(), redis_with()
    name = await proxy_to(old.port)
    pair = await gateways(
        2, **STAYING, broker_url=f"redis://127.0.0.1:{name.port}", publish_timeout=0.2, probe_interval=0.2
    )
    async with connected(*[f"{gateway.url}/ws/a" for gateway in pair]) as (one, two):
        old.follow(new)
        for gateway in pair:
            answer = await gateway.ready(False)
            assert any("replica" in reason for reason in answer.json["reasons"])
            assert (await send_request(gateway.port, PUBLISH)).status == 503
        name.targets = (new.port,)
        await asyncio.gather(*(gateway.ready() for gateway in pair))
        await one.send("hello")
        assert await two.receive(1) == ["hello"]
        assert one.is_open
    assert all(len(gateway.records("bus demoted")) == len(gateway.records("gap")) == 1 for gateway in pair)
