"""What the tests of connections share."""

from __future__ import annotations

import pytest

from tests.clients.recorder import Outcomes


@pytest.fixture
def short_close_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raw clients keep their side open: don't wait for them for seconds."""
    monkeypatch.setattr("relay.gateway.parts.CLOSE_TIMEOUT_SECONDS", 0.1)


@pytest.fixture
def outcomes() -> Outcomes:
    """What a session answers, in the order of telling."""
    return Outcomes()
