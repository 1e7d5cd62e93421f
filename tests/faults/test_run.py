"""A short run with faults; `python -m tests.faults` takes longer ones, with any seed."""

from __future__ import annotations

import pytest

from tests.faults.__main__ import report
from tests.faults.run import run

SEED = 85
"""Redis restarts, refuses SUBSCRIBE, a gateway loses its links, and Redis restarts again."""


@pytest.mark.timeout(180)  # two gateways start, and everything must have arrived in the end, also on a busy machine
async def test_every_delivery_is_accounted_for() -> None:
    outcome = await run(6, SEED)
    assert outcome, "\n".join(report(outcome))
    assert outcome.faults
    assert outcome.record.gaps
    assert outcome.verdict.deliveries > 100
