"""Gateways with bugs don't pass: each bug is found by a run of faults that bring it out."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from tests.faults.injections.schedule import ALL
from tests.faults.judge import Rule, judge
from tests.faults.load import LOADS
from tests.faults.planted.bugs import BUGS
from tests.faults.report import report
from tests.faults.run import run

SEED = 1
SECONDS = 20.0
"""Of faults; with the time to start and to come to rest a run takes a minute, or more on a busy machine."""

BROUGHT_OUT: dict[str, tuple[Collection[str], Collection[Rule]]] = {
    "skip-the-gap-read": (("CLIENT KILL pubsub", "bus: cut", "bus: hole from the server"), (Rule.ONCE, Rule.TOLD)),
    "acknowledge-before-redis": (
        ("Redis stopped", "bus: black hole", "CLIENT KILL normal"),
        (Rule.ONCE, Rule.ORDER, Rule.TOLD),
    ),
    "replay-off-by-one": (("clients: cut", "gateway drained"), (Rule.ONCE, Rule.TOLD)),
    "drop-on-reconnect": (("CLIENT KILL pubsub", "bus: black hole", "bus: cut"), (Rule.ONCE, Rule.TOLD)),
    "reuse-offsets-after-failover": (("failover, primary dead",), (Rule.ORDER,)),
    "forget-a-presence-entry": (("clients: cut",), (Rule.PRESENCE,)),
    "claim-to-have-recovered": (("clients: cut", "gateway drained"), (Rule.ONCE, Rule.TOLD)),
    "go-on-until-closed": (("CLIENT KILL pubsub", "bus: black hole", "bus: cut"), (Rule.TOLD, Rule.ORDER)),
}
"""By which faults each bug is brought out, and which rules then are broken, at least one of them."""

pytestmark = pytest.mark.timeout(400)  # three gateways start, and everything comes to rest, also on a busy machine


def test_all_bugs_are_tried() -> None:
    assert set(BROUGHT_OUT) == set(BUGS)


@pytest.mark.parametrize("bug", BUGS)
async def test_a_bug_is_found(bug: str) -> None:
    faults, rules = BROUGHT_OUT[bug]
    kinds = [injection for injection in ALL if injection.kind in faults]
    assert len(kinds) == len(faults)
    outcome = await run(SECONDS, SEED, LOADS["tiny"], kinds=kinds, command=("-m", "tests.faults.planted", bug))
    verdict = judge(outcome.history)
    assert not verdict.broken.isdisjoint(rules), "\n".join([*report(outcome.history, verdict), *outcome.trouble])
