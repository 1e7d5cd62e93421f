"""A port of its own for health and metrics."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest
from aiohttp import web

from relay import Gateway, Settings
from relay.metrics.counters import Counters
from relay.web.metrics_port import MAX_CONNECTIONS, MetricsPort, MetricsPortError
from tests.conftest import EmbeddedFactory, GatewayFactory
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.free_port import free_port
from tests.harness.http_response import get, read_response
from tests.harness.prometheus import samples
from tests.harness.websocket_client import connected


async def test_metrics_are_there_and_no_longer_where_clients_are(embedded: EmbeddedFactory) -> None:
    port = free_port()
    (gateway,) = await embedded(1, metrics_port=port)
    page = await get(port, "/metrics")
    assert (page.status, samples(page.text)["relay_ready", ()]) == (200, 1)
    assert (await get(gateway.port, "/metrics")).status == 404
    for target, status in [("/healthz", 200), ("/readyz", 200)]:
        assert (await get(port, target)).status == (await get(gateway.port, target)).status == status
    assert (await get(port, "/ws/lobby")).status == 404


async def test_without_one_everything_is_on_the_clients_port(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    for target in ("/metrics", "/healthz", "/readyz"):
        assert (await get(gateway.port, target)).status == 200


async def test_it_listens_on_the_same_addresses(embedded: EmbeddedFactory) -> None:
    port = free_port()
    await embedded(1, metrics_port=port, host=("127.0.0.1", "127.0.0.2"))
    for host in ("127.0.0.1", "127.0.0.2"):
        _, writer = await asyncio.open_connection(host, port)
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("event_loop", ["uvloop", "asyncio"])
async def test_a_drain_can_be_watched_to_its_end(gateways: GatewayFactory, event_loop: str) -> None:
    port = free_port()
    (gateway,) = await gateways(1, metrics_port=port, drain_seconds=4, event_loop=event_loop)
    seen: list[tuple[float, float]] = []

    async def look() -> bool:
        read = samples((await get(port, "/metrics")).text)
        seen.append((read["relay_draining", ()], read["relay_drain_connections", ()]))
        return seen[-1][0] == 1 and 0 < seen[-1][1] < 4

    async with connected(*[f"{gateway.url}/ws/a"] * 4):
        assert not await look()
        assert seen == [(0, 0)]
        ending = asyncio.create_task(gateway.terminate())
        await wait_until(look)
        assert (await get(port, "/readyz")).status == 503
        assert await ending == 0
    left = [connections for draining, connections in seen if draining]
    assert left == sorted(left, reverse=True)


async def test_a_taken_port_is_told_by_its_name_and_leaves_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gateway = Gateway(Settings(port=0, metrics_port=port))
        with pytest.raises(MetricsPortError, match=f"can't listen on port {port} for metrics"):
            await gateway.start()
        assert gateway.problems == ["not started"]
        with pytest.raises(ConnectionRefusedError):
            await get(gateway.port, "/healthz")


@pytest.mark.parametrize("data", [b"", b"GET /heal"])
async def test_visitors_are_few_and_who_asks_for_nothing_gives_way(embedded: EmbeddedFactory, data: bytes) -> None:
    """Connections that are held open here must use up neither the files that clients need nor the places of probes."""
    port = free_port()
    (gateway,) = await embedded(1, metrics_port=port)
    held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS + 1)]
    for _, writer in held:
        writer.write(data)
    await _ended(held[0][0])
    assert (await get(port, "/healthz")).status == 200
    await _ended(held[1][0])
    assert gateway.counters.http_connections_evicted == 2
    for _, writer in held:
        writer.transport.abort()


async def test_a_request_that_does_not_come_ends_its_connection() -> None:
    port = free_port()
    metrics_port = MetricsPort(web.Application(), Counters(), head_seconds=0.1)
    await metrics_port.start(["127.0.0.1"], port)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metr")
    assert (await read_response(reader)).status == 408
    await _ended(reader)
    writer.transport.abort()
    await metrics_port.close()


async def _ended(reader: asyncio.StreamReader) -> None:
    """Wait until the other side has dropped a connection, without a word."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        with suppress(ConnectionError):
            assert await reader.read() == b""
