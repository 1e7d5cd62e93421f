"""What the tests of workers share."""

from __future__ import annotations

import pytest

from tests.harness.forked_worker import WorkerForks


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let supervisors in this process start their workers as forks of a process that has loaded everything."""
    monkeypatch.setattr("relay.workers.worker.spawn", WorkerForks().spawn)
