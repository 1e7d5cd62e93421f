"""Gateways with histories whose API is on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from relay import Gateway
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer
from tests.harness.server_api import KEY, call

NAMESPACES = {"kept": {"history_size": 5}, "counted": {"positions": True}, "large": {"history_size": 2000}}

Start = Callable[[], Awaitable[Gateway]]


@pytest.fixture(params=["memory", "redis"])
def start(request: pytest.FixtureRequest, embedded: EmbeddedFactory, prefix: str) -> Start:
    """Start a gateway with histories whose API is on, on one of the buses."""
    bus: dict[str, object] = {}
    if request.param == "redis":
        server: RedisServer = request.getfixturevalue("redis_server")
        bus = {"broker_url": server.url, "broker_prefix": prefix}

    async def begin() -> Gateway:
        (gateway,) = await embedded(1, api_keys=KEY, namespaces=NAMESPACES, **bus)
        await wait_until(lambda: gateway.ready)
        return gateway

    return begin


async def publish(gateway: Gateway, *data: object, channel: str = "kept:a") -> list[dict[str, Any]]:
    """Publish messages; return their results."""
    parameters = [{"channel": channel, "data": each} for each in data]
    return [(await call(gateway.port, "publish", each))["result"] for each in parameters]


async def history(gateway: Gateway, channel: str = "kept:a", **parameters: object) -> dict[str, Any]:
    """Return the result of reading a history."""
    result: dict[str, Any] = (await call(gateway.port, "history", {"channel": channel, **parameters}))["result"]
    return result


async def error_of(gateway: Gateway, method: str, **parameters: object) -> tuple[int, str]:
    """Return code and message of the error of a command."""
    error = (await call(gateway.port, method, parameters))["error"]
    return error["code"], error["message"]


def offsets(result: dict[str, Any]) -> list[int]:
    """Return the offsets of what was read."""
    return [publication["offset"] for publication in result["publications"]]
