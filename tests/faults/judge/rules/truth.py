"""Rule 4: nothing comes that was not published there, and in this way; nothing unacknowledged comes twice."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.judge.case import Case
from tests.faults.judge.evidence import Evidence
from tests.faults.judge.message import NEVER
from tests.faults.judge.verdict import Finding, Rule
from tests.faults.operations import Received


def truth(case: Case) -> Iterator[Finding]:
    """Yield what came that must not."""
    evidence = case.evidence
    for index in evidence.strange:
        yield _strange(evidence, index)
    for message in evidence.messages.values():
        if message.refused is not NEVER and message.known is not NEVER:
            sentence = f"{message} was refused, and came"
            proof = tuple(sorted((message.published, message.refused, message.known)))
            yield Finding(Rule.TRUTH, sentence, proof, proof[-1])
    for session in evidence.sessions.values():
        twice = [
            (message, index)
            for message, index in session.doubles
            if message.acknowledged is NEVER and not message.twice
        ]
        if twice:
            message, index = twice[0]
            first = session.received[session.messages.index(message)]
            sentence = f"{session} got {message} twice, which was not even acknowledged"
            yield Finding(Rule.TRUTH, sentence, (first, index), index, len(twice))


def _strange(evidence: Evidence, index: int) -> Finding:
    """Return what was wrong with a message that came."""
    operation = evidence.history[index]
    assert isinstance(operation, Received)
    session, message = evidence.sessions[operation.session], evidence.messages.get(operation.message)
    if message is None:
        return Finding(Rule.TRUTH, f"{session} got {operation.message!r:.80}, which nobody sent", (index,), index)
    if message.operation.channel != session.operation.channel:
        what = f"a message of {message.operation.channel}"
    else:
        what = "before it was published" if message.published > index else "with another payload"
    proof = tuple(sorted((message.published, index)))
    return Finding(Rule.TRUTH, f"{session} got {message}, {what}", proof, index)
