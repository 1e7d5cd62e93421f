"""Two gateways over one Redis that know a protocol of the tests' own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from relay import Gateway, protocols
from tests.conftest import EmbeddedFactory
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer
from tests.protocols.multiplexed import NAME

MODULE = "tests.protocols.multiplexed"

Pair = Callable[..., Awaitable[tuple[Gateway, Gateway]]]


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """All that a protocol needs: a path, or a name."""
    monkeypatch.setitem(protocols.ENDPOINTS, "/multiplexed", MODULE)
    monkeypatch.setitem(protocols.ENDPOINTS, NAME, MODULE)


@pytest.fixture
def pair(embedded: EmbeddedFactory, redis_server: RedisServer, prefix: str) -> Pair:
    """Two gateways over one Redis: `await pair(...)`, with settings."""

    async def start(**settings: object) -> tuple[Gateway, Gateway]:
        given = {"broker_url": redis_server.url, "broker_prefix": prefix, **settings}
        one, other = await embedded(2, **given)
        await wait_until(lambda: one.ready and other.ready)
        return one, other

    return start


def url_of(gateway: Gateway) -> str:
    """Return where clients of the protocol connect."""
    return f"{gateway.url}/multiplexed"
