"""All clients of a channel see one order, whatever gateway they are on, and each publisher's own order in it."""

from __future__ import annotations

import asyncio

import pytest

from tests.conftest import EmbeddedFactory
from tests.harness.fan_outs import EACH_FAN_OUT
from tests.harness.gateway_process import GatewayProcess
from tests.harness.history import check_history, first_disagreement, labelled
from tests.harness.readiness import all_told_ready
from tests.harness.redis_server import RedisServer
from tests.harness.websocket_client import WebSocketClient, connected

each_cluster = pytest.mark.parametrize("cluster", [*EACH_FAN_OUT, "uvloop TLS send"], indirect=True)

PUBLISHERS = 10
MESSAGES = 200


async def publish_all(clients: list[WebSocketClient], size: int = 0) -> dict[str, int]:
    """Let every client send its messages, all at the same time, in little bursts; return how many each sent."""

    async def publish(name: str, client: WebSocketClient) -> None:
        for number in range(MESSAGES):
            await client.send(labelled(name, number, size))
            if number % 7 == 0:
                await asyncio.sleep(0)

    await asyncio.gather(*(publish(f"p{n}", client) for n, client in enumerate(clients)))
    return {f"p{n}": MESSAGES for n in range(len(clients))}


async def check_order(gateway_urls: list[str], channel: str, size: int = 0) -> None:
    """Have ten publishers on all gateways, half of them with echo, and listeners on each gateway."""
    urls = [f"{url}/ws/{channel}" for url in gateway_urls]
    talking = [urls[n % len(urls)] + ("?echo=1" if n % 2 else "") for n in range(PUBLISHERS)]
    async with connected(*talking) as publishers, connected(*urls) as listeners:
        sent = await publish_all(publishers, size)
        for number, client in enumerate([*publishers, *listeners]):
            own = {f"p{number}"} if number < PUBLISHERS and not number % 2 else set()
            expected = {name: count for name, count in sent.items() if name not in own}
            await client.receive(sum(expected.values()), within=20)
            assert not check_history(client.received, expected)
        assert first_disagreement([client.received for client in [*listeners, *publishers]]) is None
        for listener in listeners[1:]:
            assert listener.received == listeners[0].received


@each_cluster
async def test_ten_publishers_are_seen_in_one_order_on_two_gateways(
    cluster: list[GatewayProcess], channel: str
) -> None:
    await check_order([gateway.url for gateway in cluster[:2]], channel)


@each_cluster
async def test_ten_publishers_are_seen_in_one_order_on_three_gateways(
    cluster: list[GatewayProcess], channel: str
) -> None:
    await check_order([gateway.url for gateway in cluster], channel, size=300)


@pytest.mark.usefixtures("each_fan_out")
async def test_a_write_delay_keeps_the_order(redis_server: RedisServer, prefix: str, embedded: EmbeddedFactory) -> None:
    delayed = await embedded(2, broker_url=redis_server.url, broker_prefix=prefix, write_delay=5)
    await all_told_ready(delayed)
    await check_order([gateway.url for gateway in delayed], "delayed")
