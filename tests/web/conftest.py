"""What the tests of the HTTP side share: two gateways over one Redis, and a check of all connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.harness.deployment import EVENT_LOOPS
from tests.harness.gateway_process import GatewayProcess, end
from tests.harness.redis_server import RedisServer
from tests.harness.stages import WatchedStage, watch_stages


@pytest.fixture(autouse=True)
def stages(monkeypatch: pytest.MonkeyPatch) -> Iterator[WatchedStage]:
    """Watch the stages of all HTTP connections of embedded gateways."""
    watched = watch_stages(monkeypatch)
    yield watched
    assert watched.illegal == set()


@contextmanager
def _pair(redis: RedisServer) -> Iterator[list[GatewayProcess]]:
    gateways = [GatewayProcess(broker_url=redis.url, event_loop=loop) for loop in EVENT_LOOPS]
    try:
        for gateway in gateways:
            gateway.start_blocking()
        yield gateways
    finally:
        end(gateways)


@pytest.fixture(scope="session")
def pair(redis_server: RedisServer) -> Iterator[list[GatewayProcess]]:
    """Two gateways over one Redis, for tests without an event loop; shared, so tests must leave them as they were."""
    with _pair(redis_server) as gateways:
        yield gateways


@pytest.fixture
def own_pair(redis_server: RedisServer) -> Iterator[list[GatewayProcess]]:
    """Two gateways over one Redis that the test may end."""
    with _pair(redis_server) as gateways:
        yield gateways
