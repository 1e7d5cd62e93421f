"""What a gateway logs by the clock; its readiness is tested with the gateway."""

from __future__ import annotations

import asyncio

import pytest

from relay.gateway.readiness import report_left_out
from relay.logs import Logger, logger
from relay.logs.logger import EntryLimiter
from relay.logs.rate import INTERVAL_SECONDS, LogRate
from tests.harness.conditions import wait_until


async def test_left_out_entries_are_told_though_nothing_more_is_logged(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operator of a quiet gateway learns how long a burst was, and not only when the next entry comes."""
    now = 0.0
    monkeypatch.setattr(logger, "limiter", EntryLimiter(LogRate(most_entries=1), lambda: now))
    for _ in range(3):
        Logger("relay.bus").warning("refused")
    now = INTERVAL_SECONDS + 1
    reporting = asyncio.create_task(report_left_out(0.001))
    await wait_until(lambda: "log entries left out of=refused entries=2" in caplog.text)
    reporting.cancel()
    await asyncio.gather(reporting, return_exceptions=True)
