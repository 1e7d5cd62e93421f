"""Gateways whose API is on, on each of the buses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from relay import Gateway
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import KEY

StartWith = Callable[..., Awaitable[Gateway]]


@pytest.fixture(params=["memory", "redis"])
def start_with(request: pytest.FixtureRequest, embedded: EmbeddedFactory, prefix: str) -> StartWith:
    """Start a gateway whose API is on, on one of the buses: `await start_with(...)`, with settings."""
    bus: dict[str, object] = {}
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        bus = {"broker_url": server.url, "broker_prefix": prefix}

    async def begin(**settings: object) -> Gateway:
        (gateway,) = await embedded(1, api_keys=KEY, **bus, **settings)
        await wait_until(lambda: gateway.ready)
        return gateway

    return begin
