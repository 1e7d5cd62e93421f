"""Rule 1: what was acknowledged is delivered exactly once to every session that is said to lack nothing."""

from __future__ import annotations

from collections.abc import Iterator

from tests.faults.judge.case import Case
from tests.faults.judge.message import NEVER, Message
from tests.faults.judge.misses import Manner
from tests.faults.judge.rules.grouping import grouped
from tests.faults.judge.session import Session
from tests.faults.judge.verdict import Finding, Rule


def once(case: Case) -> Iterator[Finding]:
    """Yield what was lost without a word, and what was doubled."""
    for misses in grouped(case.misses.untold, {Manner.RESUMED, Manner.LAST}):
        miss, session = misses[0], misses[0].session
        if miss.manner is Manner.RESUMED:
            since = session.operation.since
            sentence = f"{session} was told that it lacks nothing since {since}, and never got {miss.message}"
        else:
            sentence = f"{session} was open to the end, was told nothing, and never got {miss.message}"
        shown = _known(miss.message, session, miss.later, miss.proved_at)
        yield Finding(Rule.ONCE, sentence, shown, miss.proved_at, len(misses))
    keeps = case.evidence.setup.channels if case.evidence.setup else {}
    for session in case.evidence.sessions.values():
        yield from _doubled(session, keeps.get(session.operation.channel) != "history")


def _doubled(session: Session, forgetful: bool) -> Iterator[Finding]:
    """Yield what came twice to a session, or again to a subscriber that had it already.

    Args:
        session: of a client.
        forgetful: whether its channel has no history. A poll that goes on at another gateway is told that it begins
            anew there, and may come to one that is behind: it gets again what is new to that.
    """
    anew = forgetful and session.operation.kind == "polls"
    twice = [
        (message, index)
        for message, index in session.doubles
        if message.acknowledged is not NEVER
        and not message.twice
        and not (anew and _told_between(session, message, index))
    ]
    if twice:
        message, index = twice[0]
        first = session.received[session.messages.index(message)]
        proof = tuple(sorted({message.acknowledged, first, index}))
        yield Finding(Rule.ONCE, f"{session} got {message} twice", proof, proof[-1], len(twice))
    start = session.start
    if not session.operation.recovered or start is None:
        return
    came = zip(session.messages, session.received, strict=True)
    again = [(message, index) for message, index in came if 0 < message.offset_in(start[0]) <= start[1]]
    if again:
        message, index = again[0]
        sentence = f"{session} asked to go on after {session.operation.since}, and got {message} again"
        yield Finding(Rule.ONCE, sentence, (session.begun, index), max(index, message.placed), len(again))


def _told_between(session: Session, message: Message, again: int) -> bool:
    """Return whether a session was told that messages may be missing, between the two times at which one came."""
    return any(session.received[session.messages.index(message)] < told < again for told in session.missed)


def _known(message: Message, session: Session, *others: int) -> tuple[int, ...]:
    """Return the operations that show that a message was there, and others."""
    proof = {message.published, message.known, session.begun, *others}
    return tuple(sorted(proof - {NEVER}))
