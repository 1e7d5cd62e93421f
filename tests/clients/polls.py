"""Gateways whose polling clients a test looks at."""

from __future__ import annotations

import pytest

from relay import Gateway
from relay.clients.polling_clients import PollingClients
from tests.harness.inside import parts_of

GOING_AWAY = {"code": 1001, "reason": "going away"}
LINGER = "relay.clients.long_poll.LINGER_SECONDS"


@pytest.fixture(autouse=True)
def _frequent_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("relay.clients.polling_clients.SWEEP_SECONDS", 0.02)


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Subscriptions that don't linger."""
    monkeypatch.setattr(LINGER, 0.1)


def waiting(gateway: Gateway) -> int:
    """Return how many polls wait for messages."""
    return sum(subscription._waiting is not None for subscription in parts_of(gateway).polling_clients)


def subscriptions(gateway: Gateway) -> PollingClients:
    """Return the polling clients of a gateway."""
    return parts_of(gateway).polling_clients


def held(gateway: Gateway) -> list[int]:
    """Return how many pieces wait in each subscription."""
    return [len(subscription._backlog) for subscription in parts_of(gateway).polling_clients]
