"""What came of a run, in lines for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from tests.faults.judge import Finding, Rule, Verdict, shortest_prefix
from tests.faults.operations import Fault, History, Setup
from tests.faults.wording import in_words

MAX_FINDINGS: Final = 20
"""How many of the findings of a rule are shown."""

CONTEXT: Final = 5
"""How many operations are shown before the one that proves the first finding, whatever they are about."""


def report(history: History, verdict: Verdict) -> Iterator[str]:
    """Yield what a run has shown. Times are seconds since its first operation.

    Args:
        history: what was recorded.
        verdict: on it.
    """
    yield from _happened(history, verdict)
    for rule in Rule:
        findings = [finding for finding in verdict.findings if finding.rule is rule]
        if findings:
            times = sum(finding.times for finding in findings)
            yield f"BROKEN: rule {rule.number}, {rule.promise}: {_times(times)}"
            yield from (f"  {_sentence(finding)}" for finding in findings[:MAX_FINDINGS])
            if len(findings) > MAX_FINDINGS:
                yield f"  and {len(findings) - MAX_FINDINGS} more"
    if verdict.findings:
        yield from _shortest(history, verdict)
    yield from (f"VOID: {reason}" for reason in verdict.void)
    if verdict:
        yield "all promises were kept"


def _happened(history: History, verdict: Verdict) -> Iterator[str]:
    """Yield what happened, in numbers."""
    counts = verdict.counts
    setup = next((operation for operation in history if isinstance(operation, Setup)), None)
    if setup is not None:
        kinds = Counter(setup.channels.values())
        channels = ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        yield f"seed {setup.seed}: {setup.gateways} gateways, {len(setup.channels)} channels ({channels})"
    sessions = ", ".join(f"{count} {kind}" for kind, count in sorted(counts.sessions.items()))
    yield f"{counts.operations} operations"
    yield f"{counts.published} messages: {counts.acknowledged} acknowledged, {counts.refused} refused"
    yield f"{counts.deliveries} deliveries to {sum(counts.sessions.values())} sessions ({sessions})"
    yield f"{counts.resumed} sessions asked to go on where they were; {counts.recovered} of them lacked nothing"
    told = ", ".join(f"{_times(count)} in channels of the kind {kept}" for kept, count in sorted(counts.told.items()))
    yield f"{counts.missed_told} deliveries missed and told: sessions were told {told}"
    if counts.missed_kept:
        yield f"{counts.missed_kept} deliveries missed by plain WebSockets that RELAY_ON_GAP=keep leaves untold"
    yield f"{counts.missed_untold} deliveries missed that nobody was told of"
    yield from (f"{count:6} faults: {kind}" for kind, count in sorted(counts.faults.items()))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _sentence(finding: Finding) -> str:
    return finding.sentence + (f" (and {finding.times - 1} more like it)" if finding.times > 1 else "")


def _shortest(history: History, verdict: Verdict) -> Iterator[str]:
    """Yield the end of the shortest history that breaks a rule, with the operations that show it."""
    count, first = shortest_prefix(history, verdict)
    began = history[0].at
    shown = sorted({*first.proof, *range(max(0, count - CONTEXT), count)})
    faults = (
        (index, operation)
        for index, operation in enumerate(history)
        if isinstance(operation, Fault) and operation.at <= history[count - 1].at <= operation.ended
    )
    yield f"The first {count} of {len(history)} operations show it: rule {first.rule.number}, {first.sentence}."
    for index, operation in sorted([*((index, history[index]) for index in shown), *faults], key=lambda pair: pair[0]):
        mark = "*" if index in first.proof else " "
        yield f"{mark} {index:8} {operation.at - began:10.3f} s  {in_words(operation)}"
