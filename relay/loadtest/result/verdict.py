"""The verdict on a run, in words: why it failed, or what it has shown."""

from __future__ import annotations

from enum import Enum

from relay.loadtest.result.result import Result
from relay.loadtest.units.formatting import causes, count, counted


class Ending(Enum):
    """How a run ended."""

    PASSED = "passed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


def failures(result: Result) -> list[str]:
    """Return why a run failed, thresholds not considered: sentences without a full stop, empty when it passed."""
    faults, connects = result.faults, result.connects
    sentences = []
    if faults.refused:
        refused = counted(sum(faults.refused.values()), "connection")
        sentences.append(f"{refused} could not be made: {causes(faults.refused)}")
    elif connects.made < connects.wanted:
        sentences.append(f"{counted(connects.wanted - connects.made, 'connection')} not made")
    if faults.closed:
        closed = counted(sum(faults.closed.values()), "connection")
        sentences.append(f"{closed} ended by the server: {causes(faults.closed)}")
    deliveries = {
        "lost": faults.lost,
        "duplicated": faults.duplicated,
        "out of order": faults.reordered,
        "foreign or damaged": faults.foreign,
    }
    sentences += [f"{counted(many, 'delivery', 'deliveries')} {what}" for what, many in deliveries.items() if many]
    if faults.unexpected:
        sentences.append(counted(faults.unexpected, "unexpected frame"))
    if faults.unsent:
        sentences.append(f"{counted(faults.unsent, 'message')} could not be sent")
    # What else went wrong is the reason why no client did.
    if not sentences and result.resumption is not None and not result.resumption.resumed and not result.interrupted:
        sentences.append("no client resumed, so nothing is shown: give a shorter --reconnect-every or more --duration")
    return sentences


def ending(result: Result) -> Ending:
    """Return how a run ended; a run that failed and was interrupted has failed."""
    if result.verdict:
        return Ending.FAILED
    return Ending.INTERRUPTED if result.interrupted else Ending.PASSED


def sentence(result: Result) -> str:
    """Return what a run has shown, and no more than that; empty for a failed run, whose verdict says it."""
    if result.interrupted:
        return "The run was ended early: the figures cover only what was done until then."
    if result.verdict:
        return ""
    if len(result.steps) > 1:
        return knee_sentence(result)
    if result.resumption is not None:
        return f"{resumption_words(result)}."
    if result.faults.missed or result.faults.returned or result.faults.slow_closed:
        return "Nothing lost that a connected, reading client should have had."
    if not any(step.expected for step in result.steps):
        return f"No connection was lost{_roll_call(result)}."
    return "Every message reached every receiver, once and in order."


def knee_sentence(result: Result) -> str:
    """Return in a sentence which rate a sweep found to be the highest."""
    rates = [step.rate for step in result.steps]
    if result.knee is not None:
        return f"The highest rate that was kept, the knee: {count(rates[result.knee])} messages/s."
    broken = [step.rate for step in result.steps if step.broken]
    if broken:
        return f"No knee was found: even {count(min(broken))} messages/s were too much."
    return f"Nothing broke up to {count(max(rates))} messages/s: the knee lies above."


def resumption_words(result: Result) -> str:
    """Return what became of clients that came back where they were."""
    faults, resumption = result.faults, result.resumption
    resumed = 0 if resumption is None else resumption.resumed
    return f"{count(faults.lost)} lost, {count(resumed)} resumed, {count(faults.told)} missed that were told"


def _roll_call(result: Result) -> str:
    """Return how the roll call went that ends a run without a rate."""
    return ", and the roll call reached every receiver" if result.delivered else "; there was nothing to receive"
