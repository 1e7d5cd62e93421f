"""The buses over which each suite of a broker runs: memory, fakeredis and a real Redis."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from fakeredis import TcpFakeServer

from relay.brokers import BrokerOptions
from relay.namespaces import Namespaces
from tests.brokers.recording import Station, Stations
from tests.harness.conditions import wait_until
from tests.harness.redis_server import RedisServer


@pytest.fixture(scope="session")
def fake_redis() -> Iterator[str]:
    """A fakeredis behind a TCP port; its URL."""
    server = TcpFakeServer(("127.0.0.1", 0), server_type="redis")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"redis://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(params=["memory", "fakeredis", "redis"])
def bare_options(request: pytest.FixtureRequest, prefix: str) -> BrokerOptions:
    """Options of one of the buses."""
    if request.param == "memory":
        return BrokerOptions("memory://")
    if request.param == "fakeredis":
        return BrokerOptions(request.getfixturevalue("fake_redis"), prefix)
    server: RedisServer = request.getfixturevalue("redis_server")
    return BrokerOptions(server.url, prefix)


@pytest.fixture
def options(request: pytest.FixtureRequest, bare_options: BrokerOptions) -> BrokerOptions:
    """Options of one of the buses, with the namespaces that the test's module has."""
    namespaces: Namespaces | None = getattr(request.module, "NAMESPACES", None)
    if namespaces is None:
        return bare_options
    if request.node.callspec.params["bare_options"] == "fakeredis":
        pytest.importorskip("lupa", reason="fakeredis runs scripts with it")
    return dataclasses.replace(bare_options, namespaces=namespaces)


@pytest_asyncio.fixture
async def stations(options: BrokerOptions) -> AsyncIterator[Stations]:
    """Start stations on one bus; the memory bus has one station only, which then plays all parts."""
    started: list[Station] = []

    async def start() -> Station:
        if started and options.url == "memory://":
            return started[0]
        station = Station(options)
        started.append(station)
        await station.broker.start()
        await wait_until(lambda: not station.broker.problems, what=lambda: station.broker.problems)
        return station

    yield start
    for station in started:
        await station.broker.stop()
