"""The port that the workers of one gateway share: other programs are refused, and the limit of clients is shared."""

from __future__ import annotations

from collections import Counter

from tests.conftest import GatewayFactory
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.gateway_process import GatewayProcess
from tests.harness.http_response import get
from tests.harness.prometheus import samples
from tests.harness.raw_websocket import RawWebSocket
from tests.harness.redis_server import RedisServer

WITHIN = PATIENCE_SECONDS


async def test_a_shared_port_is_refused_to_other_gateways(
    redis_server: RedisServer, prefix: str, gateways: GatewayFactory
) -> None:
    """Whether the second one has workers or not."""
    settings = {"broker_url": redis_server.url, "broker_prefix": prefix}
    (gateway,) = await gateways(1, workers=2, **settings)
    for count in (1, 2):
        second = GatewayProcess(workers=count, port=gateway.port, **settings)
        try:
            await wait_until(lambda second=second: not second.running, WITHIN)
            assert second.exit_code == 1
            assert f"cannot listen on 127.0.0.1 port {gateway.port}: it is taken" in second.output
        finally:
            second.close()
    (alone,) = await gateways(1)
    second = GatewayProcess(workers=2, port=alone.port, **settings)
    try:
        await wait_until(lambda: not second.running, WITHIN)
        assert second.exit_code == 1
    finally:
        second.close()


async def test_the_limit_of_clients_is_for_all_workers_together(
    redis_server: RedisServer, prefix: str, gateways: GatewayFactory
) -> None:
    settings = {"broker_url": redis_server.url, "broker_prefix": prefix, "max_connections": 5}
    (gateway,) = await gateways(1, workers=2, **settings)
    assert sorted(record["max_connections"] for record in gateway.records("listening")) == [2, 3]
    assert samples((await get(gateway.port, "/metrics")).text)["relay_connections_limit", ()] == 5
    statuses: Counter[int] = Counter()
    raws = [RawWebSocket(gateway.port) for _ in range(30)]
    try:
        for raw in raws:
            await raw.__aenter__()
            statuses[(await raw.upgrade("/ws/a")).status] += 1
    finally:
        for raw in raws:
            raw.close()
    assert statuses == {101: 5, 503: 25}
