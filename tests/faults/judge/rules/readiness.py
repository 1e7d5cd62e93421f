"""Rule 6: a gateway that says that it is ready is; all is back soon after the last fault."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.faults.judge.case import Case
from tests.faults.judge.evidence import Evidence
from tests.faults.judge.message import NEVER
from tests.faults.judge.session import Session
from tests.faults.judge.verdict import Finding, Rule
from tests.faults.operations import Readiness

TRUTH_SECONDS = 5.0
"""How long a gateway may say that it is ready while no message gets through it."""

BACK_SECONDS = 10.0
"""How long after the last fault gateways and subscribers may take to be back."""


def readiness(case: Case) -> Iterator[Finding]:
    """Yield gateways that said they were ready for too long, and what did not come back."""
    gateways = defaultdict[int, list[tuple[int, Readiness]]](list)
    for index, operation in case.evidence.readiness:
        gateways[operation.gateway].append((index, operation))
    for gateway, said in gateways.items():
        yield from _lies(case.evidence, gateway, said)
        yield from _not_back(case.evidence, gateway, said)
    yield from _subscribers_away(case.evidence)


def _lies(evidence: Evidence, gateway: int, said: list[tuple[int, Readiness]]) -> Iterator[Finding]:
    """Yield spells in which a gateway said that it was ready, and was not."""
    begun = told = NEVER
    for index, operation in said:
        if operation.passing is None:
            continue
        if operation.passing or not operation.ready:
            begun = told = NEVER
        elif begun is NEVER:
            begun = index
        elif told is NEVER and operation.at - evidence.history[begun].at > TRUTH_SECONDS:
            told = index
            seconds = operation.at - evidence.history[begun].at
            sentence = f"gateway {gateway} says for {seconds:.1f} s that it is ready, and no message gets through it"
            yield Finding(Rule.READINESS, sentence, (begun, index), index)


def _not_back(evidence: Evidence, gateway: int, said: list[tuple[int, Readiness]]) -> Iterator[Finding]:
    """Yield that a gateway is not ready though all faults are over."""
    calm = evidence.calm.began
    if evidence.finished is NEVER:
        return
    for index, operation in said:
        back = operation.ready and operation.passing is not False
        if not back and operation.at > calm + BACK_SECONDS and index < evidence.finished:
            what = "no message gets through it" if operation.ready else "it is not ready"
            sentence = f"gateway {gateway}: {what} {operation.at - calm:.1f} s after the last fault"
            yield Finding(Rule.READINESS, sentence, (index,), evidence.finished)
            return


def _subscribers_away(evidence: Evidence) -> Iterator[Finding]:
    """Yield subscribers that are not back though all faults are over."""
    calm = evidence.calm.began
    if evidence.finished is NEVER or evidence.first_after(calm + BACK_SECONDS) > evidence.finished:
        return
    subscribers = defaultdict[str, list[Session]](list)
    for session in evidence.sessions.values():
        subscribers[session.operation.subscriber].append(session)
    limit = evidence.first_after(calm + BACK_SECONDS)
    began = evidence.first_after(calm)
    for subscriber, sessions in subscribers.items():
        if not any(session.begun < limit and session.ended >= began for session in sessions):
            sentence = f"subscriber {subscriber} is not back {BACK_SECONDS:g} s after the last fault"
            yield Finding(Rule.READINESS, sentence, (sessions[-1].begun,), evidence.finished)
        elif all(session.ended is not NEVER for session in sessions):
            sentence = f"subscriber {subscriber} is away at the end"
            yield Finding(Rule.READINESS, sentence, (sessions[-1].ended,), evidence.finished)
