"""A short run with faults; `make faults` takes longer ones, with any seed."""

from __future__ import annotations

import pytest

from tests.faults.judge import judge
from tests.faults.load import LOADS
from tests.faults.report import report
from tests.faults.run import run

SEED = 3
SECONDS = 20.0


@pytest.mark.timeout(400)  # three gateways start, and everything comes to rest, also on a busy machine
async def test_every_message_is_accounted_for() -> None:
    outcome = await run(SECONDS, SEED, LOADS["tiny"])
    verdict = judge(outcome.history)
    assert verdict, "\n".join(report(outcome.history, verdict))
    assert not outcome.trouble
