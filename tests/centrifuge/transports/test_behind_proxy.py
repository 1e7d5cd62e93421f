"""Clients of the Centrifuge protocol behind a proxy, which shares them out over two gateways."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from relay import Gateway
from tests.centrifuge.transports.stream_client import CONNECT, StreamClient
from tests.conftest import EmbeddedFactory
from tests.harness.centrifuge_client import centrifuge
from tests.harness.conditions import wait_until
from tests.harness.haproxy import HAProxy
from tests.harness.inside import parts_of
from tests.harness.nginx import Nginx
from tests.harness.proxy_process import ProxyProcess
from tests.harness.redis_server import RedisServer

Behind = Callable[..., ProxyProcess]

streams = pytest.mark.parametrize("connect", [StreamClient.http_stream, StreamClient.sse], ids=["http_stream", "sse"])
proxies = pytest.mark.parametrize("proxy", [Nginx, HAProxy], ids=["nginx", "haproxy"])


@asynccontextmanager
async def shared_out(
    embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str, proxy: Behind
) -> AsyncIterator[tuple[int, tuple[Gateway, Gateway]]]:
    """Run two gateways behind a proxy; the first value is its port."""
    given = {"broker_url": redis_server.url, "broker_prefix": prefix, "trusted_proxies": "127.0.0.1"}
    one, other = await embedded(2, **given, ping_interval=1, ping_timeout=0.5)
    await wait_until(lambda: one.ready and other.ready)
    front = proxy(one.port, other.port)
    await asyncio.to_thread(front.__enter__)
    try:
        yield front.port, (one, other)
    finally:
        await asyncio.to_thread(front.__exit__, None, None, None)


@proxies
@pytest.mark.parametrize("format", ["json", "protobuf"])
async def test_websockets(
    embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str, proxy: Behind, format: str
) -> None:
    async with shared_out(embedded, redis_server, prefix, proxy) as (port, gateways):
        async with centrifuge(*[f"ws://127.0.0.1:{port}"] * 4, format=format) as clients:
            for client in clients:
                await client.subscribe("a")
            for number, client in enumerate(clients):
                await client.ask(publish={"channel": "a", "data": {"n": number}})
            await wait_until(lambda: all(len(client.told("pub")) == len(clients) for client in clients))
            assert all(parts_of(gateway).context.registry.sockets for gateway in gateways)
        assert all(not gateway.counters.connections_refused for gateway in gateways)


@proxies
@streams
async def test_streams_and_what_their_clients_say(
    embedded: EmbeddedFactory,
    redis_server: RedisServer,
    prefix: str,
    proxy: Behind,
    connect: Callable[..., StreamClient],
) -> None:
    """Whichever gateway the proxy gives a command to. Pings come at once, not when a buffer of the proxy is full."""
    async with shared_out(embedded, redis_server, prefix, proxy) as (port, gateways):
        async with connect(port, CONNECT) as client:
            assert (await client.ask(subscribe={"channel": "a"}))["subscribe"] == {}
            for number in range(10):
                assert (await client.ask(publish={"channel": "a", "data": number}))["publish"] == {}
            assert await client.publications(10) == list(range(10))
            await client.pinged(1)
            large = "x" * 30_000
            await gateways[0].publish("a", f'"{large}"')
            assert (await client.publications(11))[-1] == large
        await wait_until(lambda: all(not gateway.counters.connections_open for gateway in gateways))


@proxies
@pytest.mark.parametrize(
    "connect", [StreamClient.uni_http_stream, StreamClient.uni_sse], ids=["uni_http_stream", "uni_sse"]
)
async def test_receivers(
    embedded: EmbeddedFactory,
    redis_server: RedisServer,
    prefix: str,
    proxy: Behind,
    connect: Callable[..., StreamClient],
) -> None:
    async with shared_out(embedded, redis_server, prefix, proxy) as (port, _), connect(port, {}) as client:
        await client.until(lambda one: "connect" in one)
        await client.pinged(2)
