"""A cluster for each test, and an option with which the scenario itself is tested."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.centrifuge.sdk.cluster import CentrifugoNode, Cluster, RelayNode

NODES = {"relay": RelayNode, "centrifugo": CentrifugoNode}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the SDKs be driven against Centrifugo, for which they were made."""
    parser.addoption("--against", choices=list(NODES), default="relay")


@pytest.fixture
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Two servers on one Redis, which the test may end."""
    # Where these tests are some of many, pytest hasn't read this file in time for its option.
    with Cluster(NODES[request.config.getoption("--against", "relay")]) as started:
        yield started
