"""The judge of recorded runs: it gets a history, and says which promises it breaks. It does no input and output."""

from __future__ import annotations

from collections import Counter

from tests.faults.judge.case import Case
from tests.faults.judge.message import NEVER
from tests.faults.judge.rules.leftovers import leftovers
from tests.faults.judge.rules.once import once
from tests.faults.judge.rules.order import order
from tests.faults.judge.rules.presence import presence
from tests.faults.judge.rules.readiness import readiness
from tests.faults.judge.rules.told import told
from tests.faults.judge.rules.truth import truth
from tests.faults.judge.substance import void
from tests.faults.judge.verdict import Counts, Finding, Rule, Verdict
from tests.faults.operations import Ended, Fault, History

__all__ = ["Counts", "Finding", "Rule", "Verdict", "judge", "shortest_prefix"]

MESSAGES_MISSED = (1012, 2500, 3010)
"""The codes by which plain WebSockets are told, Centrifuge clients of one subscription, and those whose subscriptions
can't be ended by themselves."""

RULES = [once, order, told, truth, presence, readiness, leftovers]


def judge(history: History) -> Verdict:
    """Judge a run by its history."""
    case = Case(history)
    counts = _counts(case)
    findings = [finding for rule in RULES for finding in rule(case)]
    findings.sort(key=lambda finding: (finding.proved_at, finding.rule.number))
    return Verdict(findings, list(void(case, counts)), counts)


def shortest_prefix(history: History, verdict: Verdict) -> tuple[int, Finding]:
    """Return how many operations of a history that breaks a rule are enough to break one, and what they show.

    What is known of faults counts in full: they are recorded behind their times.

    Args:
        history: the whole.
        verdict: on it.
    """
    found = verdict.findings[0]
    end, step = found.proved_at + 1, 1
    # It is hardly ever far from there, and each look costs as much as the history is long.
    while (shown := _first_finding(history, end)) is None:
        end, step = min(len(history), end + step), 2 * step
    found, begin, step = shown, end - 1, 1
    while begin > 0 and (shown := _first_finding(history, begin)) is not None:
        found, end, begin, step = shown, begin, max(0, begin - step), 2 * step
    while end - begin > 1:
        middle = (begin + end) // 2
        if (shown := _first_finding(history, middle)) is None:
            begin = middle
        else:
            found, end = shown, middle
    return end, found


def _first_finding(history: History, count: int) -> Finding | None:
    """Return what the first operations of a history show first; None: nothing."""
    prefix = history[:count]
    prefix.extend(operation for operation in history[count:] if isinstance(operation, Fault))
    return next(iter(judge(prefix).findings), None)


def _counts(case: Case) -> Counts:
    """Count what happened."""
    evidence = case.evidence
    messages, sessions = evidence.messages.values(), evidence.sessions.values()
    return Counts(
        operations=len(evidence.history),
        published=len(messages),
        acknowledged=sum(message.acknowledged is not NEVER for message in messages),
        refused=sum(message.refused is not NEVER for message in messages),
        deliveries=sum(len(session.messages) for session in sessions),
        sessions=Counter(session.operation.kind for session in sessions),
        resumed=sum(session.operation.since is not None for session in sessions),
        recovered=sum(session.operation.recovered is True for session in sessions),
        told=_told(case),
        missed_told=case.misses.told,
        missed_kept=case.misses.kept,
        missed_untold=len(case.misses.untold),
        faults=Counter(fault.kind for fault in evidence.faults),
    )


def _told(case: Case) -> Counter[str]:
    """Count how often sessions were told that messages may be missing, by what is kept of their channels."""
    evidence, told = case.evidence, Counter[str]()
    keeps = evidence.setup.channels if evidence.setup else {}
    for session in evidence.sessions.values():
        ended = evidence.history[session.ended] if session.ended is not NEVER else None
        closed = isinstance(ended, Ended) and ended.code in MESSAGES_MISSED
        kept = keeps.get(session.operation.channel, "plain")
        told[kept] += len(session.missed) + (session.operation.recovered is False) + closed
    return told
