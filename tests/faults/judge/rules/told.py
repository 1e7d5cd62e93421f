"""Rule 3: whoever lacks a message is told before it sees a later one.

A plain WebSocket has no words to be told, nor has a Centrifuge client of a plain channel that it has with its
connection. It is closed instead, within `RELAY_GAP_SECONDS` and a few seconds after it
saw a later message, not counting the time of faults.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.judge.case import Case
from tests.faults.judge.evidence import Evidence
from tests.faults.judge.message import NEVER
from tests.faults.judge.misses import Manner, stretches
from tests.faults.judge.rules.grouping import grouped
from tests.faults.judge.session import Session
from tests.faults.judge.verdict import Finding, Rule


def told(case: Case) -> Iterator[Finding]:
    """Yield who was not told in time."""
    for misses in grouped(case.misses.untold, {Manner.LIVE}):
        miss, session = misses[0], misses[0].session
        when = case.evidence.clock(miss.later)
        sentence = f"{session} lacks {miss.message}, and saw a later one at {when}"
        if session.speechless:
            sentence += ", and was not closed in time"
        else:
            sentence += ", and had not been told"
        proof = {miss.message.published, miss.message.known, session.begun, miss.later, miss.proved_at} - {NEVER}
        yield Finding(Rule.TOLD, sentence, tuple(sorted(proof)), miss.proved_at, len(misses))
    for session in case.evidence.sessions.values():
        if session.positioned:
            yield from _silent_changes(case.evidence, session)


def _silent_changes(evidence: Evidence, session: Session) -> Iterator[Finding]:
    """Yield where a session went on in another epoch without a word: the end of the epoch before may be lost."""
    for stretch in stretches(session, evidence):
        last, shown = stretch.start, stretch.begun
        for number in range(stretch.first, stretch.last):
            here, index = session.place(number), session.received[number]
            if here and last and here[0] != last[0]:
                sentence = f"{session} went from epoch {last[0]} to {here[0]}, and had not been told"
                yield Finding(Rule.TOLD, sentence, (shown, index), index)
            if here:
                last, shown = here, index
