"""What the tests of the JavaScript client share: gateways, and clients wherever it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.gateway_process import GatewayProcess, Setting, end
from tests.web.client.driven import DrivenClient
from tests.web.client.engines import MODULE, Engine, Engines, Node

Start = Callable[..., GatewayProcess]
Connect = Callable[..., DrivenClient]


@pytest.fixture(scope="package")
def home() -> Iterator[GatewayProcess]:
    """A gateway that keeps 100 messages; pages of it load the client. Pages of any site may use it."""
    gateway = GatewayProcess(allowed_origins="*", history_size=100)
    gateway.start_blocking()
    yield gateway
    end([gateway])


@pytest.fixture
def start() -> Iterator[Start]:
    """Start gateways that end with the test; pages of any site may use them."""
    started = []

    def start_gateway(**settings: Setting) -> GatewayProcess:
        gateway = GatewayProcess(**{"allowed_origins": "*", **settings})
        started.append(gateway)
        gateway.start_blocking()
        return gateway

    yield start_gateway
    end(started)


@pytest.fixture(scope="package")
def engines(home: GatewayProcess) -> Iterator[Engines]:
    """Where the clients run; started once for all files, as a browser takes a while."""
    with Engines(home.port) as started:
        yield started


@pytest.fixture(params=["page", "worker", "node"])
def engine(request: pytest.FixtureRequest, engines: Engines) -> Engine:
    """Each of these places."""
    return engines.get(request.param)


@pytest.fixture
def connect(engine: Engine, home: GatewayProcess) -> Iterator[Connect]:
    """Start clients that end with the test: `connect(url, tokens, **options)`."""
    started = []
    module = MODULE.as_uri() if isinstance(engine, Node) else f"http://127.0.0.1:{home.port}/client/relay-client.js"

    def start_client(url: str, *tokens: str | None, **options: Any) -> DrivenClient:
        client = DrivenClient(engine, module, url, tokens or None, **options)
        started.append(client)
        client.start()
        return client

    yield start_client
    for client in started:
        client.stop()
