"""What a record proves: whether anything was doubled, reordered or altered, and who was told of what is missing."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.faults.record import Fate, Gap, Hearing, Record, Sent
from tests.harness.history import Label, check_history, first_disagreement, label_of

CLOCK_SECONDS = 0.02
"""How far the clock of a log may be from ours."""

END_SECONDS = 1.0
"""How much later than another listener one may get a message; who left in that time need not have it."""

BLIND_SECONDS = 1.0
"""How long before the witness lost sight a message may have been sent that it did not see."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A delivery that was not made, and that nothing explains.

    Args:
        label: of the message.
        sent: the message.
        hearing: who should have got it.
        published: when it was on the bus; None: it never was, and its publisher was not told.
    """

    label: Label
    sent: Sent
    hearing: Hearing
    published: float | None


@dataclass(slots=True)
class Verdict:
    """What was found. `bool(verdict)` is true when the relay has kept what it promises.

    Args:
        deliveries: how many were made.
        explained: deliveries that were not made, by who was told.
        unexplained: those that nobody was told of.
        untrue: messages that were published, though their publisher was told that they were not published.
        overtaken: messages that failed, though later ones of the same publisher were published.
        wrong: doubled, reordered, altered and unknown messages, in words.
    """

    deliveries: int = 0
    explained: Counter[str] = field(default_factory=Counter)
    unexplained: list[Missing] = field(default_factory=list)
    untrue: list[Label] = field(default_factory=list)
    overtaken: list[Label] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return not (self.unexplained or self.untrue or self.overtaken or self.wrong)


def judge(record: Record) -> Verdict:
    """Judge a run."""
    verdict = Verdict()
    published = dict(record.witnessed)
    for hearing in record.hearings:
        verdict.deliveries += len(hearing.received)
        for payload, at in hearing.received:
            label = label_of(payload)
            published[label] = min(at, published.get(label, at))
    verdict.wrong.extend(_wrong(record))
    verdict.untrue.extend(
        label for label, sent in record.sent.items() if sent.fate is Fate.REFUSED and label in published
    )
    verdict.overtaken.extend(_overtaken(record, published))
    for hearing in record.hearings:
        gaps = [gap for gap in record.gaps if gap.slot == hearing.slot]
        _explain(record, hearing, published, gaps, verdict)
    return verdict


def _wrong(record: Record) -> Iterator[str]:
    """Say what listeners got that they must not get."""
    counts = Counter(label.publisher for label in record.sent)
    histories: dict[str, dict[str, list[str | bytes]]] = defaultdict(lambda: defaultdict(list))
    for hearing in record.hearings:
        histories[hearing.channel][hearing.listener].extend(payload for payload, _ in hearing.received)
        for payload, at in hearing.received:
            sent = record.sent.get(label_of(payload))
            if sent is not None and (sent.payload != payload or sent.channel != hearing.channel):
                yield f"{hearing.listener} got {payload!r:.60} at {at:.3f} for {sent}"
    for channel, listeners in histories.items():
        for listener, history in listeners.items():
            anomalies = check_history(history, counts)
            for what in ("duplicated", "reordered", "unknown"):
                if labels := getattr(anomalies, what):
                    yield f"{listener}: {len(labels)} {what}, first {labels[0]}"
        names = list(listeners)
        if found := first_disagreement([listeners[name] for name in names]):
            yield f"{channel}: {names[found[0]]} and {names[found[1]]} disagree on the order of {found[2]}"


def _explain(
    record: Record, hearing: Hearing, published: dict[Label, float], gaps: list[Gap], verdict: Verdict
) -> None:
    """Account for what a listener did not get."""
    got = {label_of(payload) for payload, _ in hearing.received}
    for label, sent in record.sent.items():
        if label in got or sent.channel != hearing.channel or sent.at < hearing.began:
            continue
        if hearing.ended is not None and sent.at > hearing.ended:
            continue
        at = published.get(label)
        if at is None and sent.fate is Fate.PUBLISHED and _seen(record, sent):
            verdict.unexplained.append(Missing(label, sent, hearing, None))
            continue
        until = sent.at + BLIND_SECONDS if at is None else at
        if at is None and sent.fate is not Fate.PUBLISHED:
            verdict.explained["its publisher"] += 1
        elif hearing.ended is not None and until > hearing.ended - END_SECONDS:
            verdict.explained["the listener: its connection ended"] += 1
        elif hearing.answers is not None and _told_missed(record, hearing, sent.at, until):
            verdict.explained["the listener: missed"] += 1
        elif hearing.answers is None and _covered(sent.at, until, gaps):
            verdict.explained["the operator: a gap"] += 1
        else:
            verdict.unexplained.append(Missing(label, sent, hearing, until))


def _seen(record: Record, sent: Sent) -> bool:
    """Tell whether the witness must have seen a message, if it was published."""
    return not any(sent.at <= blind <= sent.at + BLIND_SECONDS for blind in record.blind)


def _covered(began: float, ended: float, gaps: list[Gap]) -> bool:
    """Tell whether a gap was there at a time at which the message may have passed."""
    return any(gap.began - CLOCK_SECONDS <= ended and began <= gap.ended + CLOCK_SECONDS for gap in gaps)


def _told_missed(record: Record, hearing: Hearing, began: float, ended: float) -> bool:
    """Tell whether a polling client was told: at the latest by the answer after the first one with a later message."""
    assert hearing.answers is not None
    later = next((at for payload, at in hearing.received if record.sent[label_of(payload)].at > ended), float("inf"))
    for at, missed in hearing.answers:
        if missed and at >= began:
            return True
        if at > later:
            return False
    return False


def _overtaken(record: Record, published: dict[Label, float]) -> Iterator[Label]:
    """Yield what was not published though a later message of the same publisher was, on one connection."""
    latest: dict[str, int] = {}
    for label in published:
        latest[label.publisher] = max(label.number, latest.get(label.publisher, -1))
    for label, sent in record.sent.items():
        failed = label not in published and label.number < latest.get(label.publisher, -1)
        if failed and _seen(record, sent):
            yield label
