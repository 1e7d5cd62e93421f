"""The load test's clients resume at real gateways: whatever dies, they have everything once, or are told."""

from __future__ import annotations

import asyncio
import signal

import pytest

from tests.cli.command import invoke
from tests.conftest import GatewayFactory
from tests.harness.conditions import wait_until
from tests.harness.gateway_process import GatewayProcess
from tests.harness.haproxy import HAProxy
from tests.harness.http_response import get
from tests.harness.load_test import LoadTest, run_load_test
from tests.harness.nginx import Nginx
from tests.harness.readiness import all_told_ready
from tests.harness.redis_server import RedisServer
from tests.system.test_proxies import behind

CLIENTS = 8
LOAD = (
    *("--resume", "--namespace", "chat", "--clients", str(CLIENTS), "--publishers", "2", "--rate", "10"),
    *("--workers", "1", "--reconnect-every", "2s", "--warm-up", "0s", "--duration", "500s", "--drain", "60s"),
)
NAMESPACES = '{"chat": {"history_size": 1000}}'


async def test_a_killed_gateway_loses_nothing_for_clients_that_resume(
    own_redis: RedisServer, gateways: GatewayFactory
) -> None:
    """Not even what was being published through it: publishers send it again, with the same key."""
    dying, *others = await gateways(3, broker_url=own_redis.url, namespaces=NAMESPACES)
    async with LoadTest(*(gateway.url for gateway in (dying, *others)), *LOAD) as load_test:
        await published(others, 20)
        dying.signal(signal.SIGKILL)
        await published(others, 40)
        load_test.interrupt()
        outcome = await load_test.ended(90.0)
    faults, resumption = outcome.result.faults, outcome.result.resumption
    assert (outcome.code, outcome.result.verdict) == (130, []), (outcome.output, outcome.errors)
    assert (faults.any, faults.lost, faults.told, faults.missed) == (False, 0, 0, 0)
    assert resumption is not None
    assert resumption.resumed > 0
    sent = sum(second.sent for second in outcome.result.moments)
    assert outcome.result.delivered == sent * CLIENTS > 60 * CLIENTS


async def test_what_redis_has_forgotten_is_told_and_not_lost_in_silence(
    own_redis: RedisServer, gateways: GatewayFactory
) -> None:
    """A Redis that keeps nothing on disk is killed, with all histories."""
    running = await gateways(2, broker_url=own_redis.url, namespaces=NAMESPACES)
    async with LoadTest(*(gateway.url for gateway in running), *LOAD) as load_test:
        await published(running, 20)
        await asyncio.to_thread(own_redis.kill)
        await asyncio.to_thread(own_redis.start)
        await all_told_ready(running)
        await published(running, 40)
        load_test.interrupt()
        outcome = await load_test.ended(90.0)
    faults, resumption = outcome.result.faults, outcome.result.resumption
    assert resumption is not None
    assert (faults.lost, faults.duplicated, faults.reordered) == (0, 0, 0), (outcome.output, faults)
    # All who were there: their positions are of another epoch.
    assert resumption.notices >= CLIENTS


async def test_channels_without_a_history_are_told_before_the_run(gateways: GatewayFactory) -> None:
    (gateway,) = await gateways(1, namespaces='{"chat": {"positions": true}}')
    async with LoadTest(gateway.url, *LOAD) as load_test:
        outcome = await load_test.ended()
    assert (outcome.code, outcome.written) == (1, None)
    assert f"{gateway.url}: the channel chat:loadtest-" in outcome.errors
    assert "keeps no messages there, so that no client can resume" in outcome.errors


@pytest.mark.parametrize("count", ["1", "2"])
def test_gateways_of_its_own_keep_messages(count: str) -> None:
    options = ("--clients", "4", "--duration", "2s", "--warm-up", "0s", "--reconnect-every", "500ms", "--workers", "1")
    result = invoke("loadtest", "--resume", "--gateways", count, *options)
    assert result.exit_code == 0, result.output
    assert "Passed. 0 lost, " in result.output


async def published(gateways: list[GatewayProcess], count: int) -> None:
    """Wait until so many more messages have come to these gateways."""

    async def received() -> float:
        texts = await asyncio.gather(*(get(gateway.port, "/metrics") for gateway in gateways))
        lines = [line for text in texts for line in text.text.splitlines()]
        return sum(float(line.split()[-1]) for line in lines if line.startswith("relay_messages_received_total"))

    enough = await received() + count

    async def are_enough() -> bool:
        return await received() >= enough

    await wait_until(are_enough, 90.0, lambda: f"{count} more messages come")


@pytest.mark.parametrize("balancer", [HAProxy, Nginx])
async def test_clients_resume_through_a_balancer(
    balancer: type[HAProxy | Nginx], own_redis: RedisServer, gateways: GatewayFactory
) -> None:
    """Whichever gateway it chooses, and however it frames the answers."""
    trusted = "127.0.0.1"
    running = await gateways(2, broker_url=own_redis.url, namespaces=NAMESPACES, trusted_proxies=trusted)
    options = ("--reconnect-every", "500ms", "--duration", "4s", "--fail-if", "told>0")
    async with behind(balancer(*(gateway.port for gateway in running))) as port:
        outcome = await run_load_test(f"http://127.0.0.1:{port}", *LOAD, *options)
    assert outcome.code == 0, (outcome.output, outcome.errors)
    assert outcome.result.resumption is not None
    assert outcome.result.resumption.resumed > CLIENTS
