"""Whether enough happened in a run for it to show anything."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.judge.case import Case
from tests.faults.judge.message import NEVER
from tests.faults.judge.verdict import Counts

MIN_MESSAGES = 100
"""Acknowledged messages, and deliveries, without which a run shows nothing."""

MIN_SHARE = 0.1
"""The share of all messages that must have been acknowledged."""


def void(case: Case, counts: Counts) -> Iterator[str]:
    """Yield why a run shows nothing, in sentences."""
    evidence = case.evidence
    yield from evidence.contradictions[:10]
    setup = evidence.setup
    if setup is None:
        yield "the record does not say how the run was set up"
        return
    if evidence.finished is NEVER:
        yield "the run did not finish: what was still to come is unknown"
    if not evidence.faults:
        yield "there was no fault"
    if counts.acknowledged < max(MIN_MESSAGES, MIN_SHARE * counts.published):
        yield f"only {counts.acknowledged} of {counts.published} messages were acknowledged"
    if counts.deliveries < MIN_MESSAGES:
        yield f"only {counts.deliveries} messages came"
    if "history" in setup.channels.values() and not counts.recovered:
        yield "no subscriber came back and got what it had missed"
    heard = {session.operation.channel for session in evidence.sessions.values() if session.messages}
    if silent := sorted(set(setup.channels) - heard):
        yield f"nobody heard anything of {', '.join(silent[:10])}"
    probed = {operation.gateway for _, operation in evidence.readiness}
    if unknown := sorted(set(range(setup.gateways)) - probed):
        yield f"gateways {', '.join(map(str, unknown))} were not asked whether they are ready"
