"""Gateways with histories whose API is on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from relay import Gateway
from tests.harness.server_api import call
from tests.web.api.conftest import StartWith

NAMESPACES = {"kept": {"history_size": 5}, "counted": {"positions": True}, "large": {"history_size": 2000}}

Start = Callable[[], Awaitable[Gateway]]


@pytest.fixture
def start(start_with: StartWith) -> Start:
    """Start a gateway with histories whose API is on, on one of the buses."""
    return partial(start_with, namespaces=NAMESPACES)


async def publish(gateway: Gateway, *data: object, channel: str = "kept:a") -> list[dict[str, Any]]:
    """Publish messages; return their results."""
    parameters = [{"channel": channel, "data": each} for each in data]
    return [(await call(gateway.port, "publish", each))["result"] for each in parameters]


async def history(gateway: Gateway, channel: str = "kept:a", **parameters: object) -> dict[str, Any]:
    """Return the result of reading a history."""
    result: dict[str, Any] = (await call(gateway.port, "history", {"channel": channel, **parameters}))["result"]
    return result


def offsets(result: dict[str, Any]) -> list[int]:
    """Return the offsets of what was read."""
    return [publication["offset"] for publication in result["publications"]]
