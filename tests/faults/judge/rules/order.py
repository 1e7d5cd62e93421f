"""Rule 2: a channel has one order, the same for all; its offsets rise by one within an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from tests.faults.judge.case import Case
from tests.faults.judge.channel_order import ChannelOrder, comes_before
from tests.faults.judge.evidence import Channel, Evidence
from tests.faults.judge.message import Place
from tests.faults.judge.misses import stretches
from tests.faults.judge.session import Session
from tests.faults.judge.verdict import Finding, Rule

MAX_HOLE = 1000
"""How many offsets of a hole are looked at: the first one that nobody knows shows it."""


MAX_NAMED = 4
"""How many messages are named that contradict each other."""


def order(case: Case) -> Iterator[Finding]:
    """Yield where there is no order, and where positions contradict each other or leave something out."""
    evidence = case.evidence
    for message, wrong, first, second in evidence.clashes:
        if not message.twice:
            sentence = f"{message} {wrong} ({message.operation.channel})"
            yield Finding(Rule.ORDER, sentence, (first, second), second)
    for name, limit in case.disorders.items():
        yield _disorder(evidence, evidence.channels[name], limit)
    for channel in evidence.channels.values():
        for session in channel.sessions:
            if session.positioned:
                yield from _holes(evidence, channel, session)


def _disorder(evidence: Evidence, channel: Channel, limit: int) -> Finding:
    """Return that a channel has no order, and why."""
    found = ChannelOrder(channel, limit)
    around = found.circle or found.early
    pairs = list(pairwise([*around, around[0]] if found.circle else around))
    proof = {index for first, second in pairs for index in comes_before(channel, first, second, limit)}
    if found.circle:
        names = ", ".join(map(str, found.circle[:MAX_NAMED]))
        more = f" and {len(found.circle) - MAX_NAMED} more" if len(found.circle) > MAX_NAMED else ""
        sentence = (
            f"{channel.name} has no order: each of {names}{more} comes before the next, the last before the first"
        )
    else:
        first, last = found.early[0], found.early[-1]
        proof |= {last.known, first.published}
        sentence = f"{channel.name}: {first} comes before {last}, and was published when that was there already"
    return Finding(Rule.ORDER, sentence, tuple(sorted(proof)), limit - 1)


def _holes(evidence: Evidence, channel: Channel, session: Session) -> Iterator[Finding]:
    """Yield offsets that a session has passed over, and that are nobody's."""
    for stretch in stretches(session, evidence):
        last = stretch.start
        for number in range(stretch.first, stretch.last):
            here, index = session.place(number), session.received[number]
            if here and last and here[0] == last[0]:
                unknown = _unknown(channel, here, last[1] + 1)
                if unknown:
                    sentence = f"{session} got {session.messages[number]}, and nobody knows a message {unknown}"
                    yield Finding(Rule.ORDER, sentence, (index,), index)
            last = here or last


def _unknown(channel: Channel, place: Place, begin: int) -> str:
    """Return a position before another one that is nobody's, from an offset on; empty: there is none."""
    epoch, end = place
    for offset in range(begin, min(end, begin + MAX_HOLE)):
        if f"{epoch}:{offset}" not in channel.positions:
            return f"{epoch}:{offset}"
    return ""
