"""A short run with faults that are over soon; `make faults` takes long ones, with all kinds and any seed."""

from __future__ import annotations

import pytest

from tests.faults.injections.schedule import ALL
from tests.faults.judge import judge
from tests.faults.load import LOADS
from tests.faults.report import report
from tests.faults.run import run

SEED = 3
SECONDS = 20.0
KINDS = ("clients: cut", "gateway drained", "bus: cut", "bus: black hole", "CLIENT KILL pubsub", "Redis emptied")


@pytest.mark.timeout(400)  # three gateways start, and everything comes to rest, also on a busy machine
async def test_every_message_is_accounted_for() -> None:
    outcome = await run(SECONDS, SEED, LOADS["tiny"], kinds=[kind for kind in ALL if kind.kind in KINDS])
    verdict = judge(outcome.history)
    assert verdict, "\n".join([*report(outcome.history, verdict), *outcome.trouble])
    assert not outcome.trouble
