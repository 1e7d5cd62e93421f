"""The monitor, with workers that the supervisor starts as it always does, each with a Python of its own."""

from __future__ import annotations

import asyncio

import pytest

from relay.workers import monitor
from relay.workers.timing import Timing
from tests.harness.conditions import PATIENCE_SECONDS, wait_until
from tests.harness.http_response import get
from tests.harness.redis_server import RedisServer
from tests.workers.running_supervisor import running, settings_for


async def test_a_request_that_fails_is_logged_and_made_again(
    redis_server: RedisServer, prefix: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    settings = settings_for(redis_server, prefix)
    async with running(settings, timing=Timing(status_interval=0.05)) as run:
        with monkeypatch.context() as patch:
            patch.setattr(monitor, "combine", lambda *_: 1 / 0)
            # Operators who ask a worker, whichever that is, get their answer, too.
            asking = [asyncio.create_task(get(settings.port, "/readyz", PATIENCE_SECONDS)) for _ in range(10)]
            await wait_until(lambda: "survey failed" in caplog.text, PATIENCE_SECONDS)
        await asyncio.gather(*asking)
        await wait_until(run.ready, PATIENCE_SECONDS)
        for _ in range(10):
            assert (await get(settings.port, "/readyz")).status == 200
