"""What back ends are told while Redis, or a gateway, doesn't answer."""

from __future__ import annotations

import asyncio
import signal

from tests.conftest import GatewayFactory, ProxyFactory
from tests.harness.conditions import wait_until
from tests.harness.outage import STAYING
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import KEY, call
from tests.harness.websocket_client import connected


async def test_while_redis_is_away_a_back_end_is_told_that_nothing_was_published(
    gateways: GatewayFactory, own_redis: RedisServer
) -> None:
    (gateway,) = await gateways(1, broker_url=own_redis.url, api_keys=KEY, publish_timeout=0.3)
    own_redis.kill()
    await gateway.ready(False)
    error = (await call(gateway.port, "publish", {"channel": "a", "data": 1}))["error"]
    assert (error["code"], "not published" in error["message"]) == (100, True)
    replies = (await call(gateway.port, "batch", {"commands": [{"publish": {"channel": "a", "data": 1}}] * 3}))[
        "replies"
    ]
    assert [reply["error"]["code"] for reply in replies] == [100] * 3
    large = {"channels": [f"c{number}" for number in range(1000)], "data": "x" * 10_000}
    responses = (await call(gateway.port, "broadcast", large))["result"]["responses"]
    assert {response["error"]["code"] for response in responses} == {100}
    error = (await call(gateway.port, "channels", {}))["error"]
    assert (error["code"], "bus unavailable" in error["message"]) == (100, True)
    error = (await call(gateway.port, "disconnect", {"user": "ann"}))["error"]
    assert error["code"] == 100
    own_redis.start()
    await gateway.ready()
    assert await call(gateway.port, "publish", {"channel": "a", "data": 1}) == {"result": {}}


async def test_when_the_answer_of_redis_is_lost_a_back_end_is_told_that_nobody_knows(
    gateways: GatewayFactory, own_redis: RedisServer
) -> None:
    (gateway,) = await gateways(1, broker_url=own_redis.url, api_keys=KEY, broker_timeout=1)
    own_redis.pause()
    waiting = asyncio.create_task(call(gateway.port, "publish", {"channel": "a", "data": 1}))
    error = (await waiting)["error"]
    assert error["code"] == 1000
    assert "may or may not" in error["message"]
    own_redis.resume()
    await gateway.ready()


async def test_an_order_that_a_deaf_gateway_misses_is_not_given_again(
    gateways: GatewayFactory, own_redis: RedisServer, proxy_to: ProxyFactory
) -> None:
    """Its readiness says that it is deaf."""
    proxy = await proxy_to(own_redis.port)
    (here,) = await gateways(1, broker_url=own_redis.url, api_keys=KEY)
    (there,) = await gateways(1, **STAYING, broker_url=own_redis.url_of(port=proxy.port), broker_timeout=0.5)
    async with connected(f"{there.url}/ws/a?user=ann", f"{here.url}/ws/a?user=ann") as (missed, meant):
        proxy.black_hole = True
        await there.ready(False)
        assert await call(here.port, "disconnect", {"user": "ann"}) == {"result": {}}
        assert await meant.ended() == (3503, "force disconnect")
        proxy.cut()
        proxy.black_hole = False
        await there.ready()
        await call(here.port, "publish", {"channel": "a", "data": 1})
        assert await missed.receive(1) == ["1"]
        assert missed.is_open


async def test_a_gateway_that_does_not_answer_makes_a_survey_fail_and_not_lie(
    gateways: GatewayFactory, own_redis: RedisServer
) -> None:
    here, there = await gateways(2, broker_url=own_redis.url, api_keys=KEY)
    there.signal(signal.SIGSTOP)
    try:
        error = (await call(here.port, "channels", {}))["error"]
        assert (error["code"], "1 of 2 gateways" in error["message"]) == (100, True)
    finally:
        there.signal(signal.SIGCONT)
    await wait_until(lambda: _both_answer(here.port), 10)


async def _both_answer(port: int) -> bool:
    reply = await call(port, "info", {})
    return "result" in reply and len(reply["result"]["nodes"]) == 2
