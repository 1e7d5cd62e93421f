"""Lies about what messages are: other ones than were published, or none."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from tests.faults.judge import Rule
from tests.faults.mutations.changes import Mutated, changed
from tests.faults.mutations.spots import Spots
from tests.faults.operations import Refused


def crossed(spots: Spots, draw: Random) -> Mutated:
    """A session gets a message of another channel."""
    found = []
    for index in draw.sample(spots.receipts, min(20, len(spots.receipts))):
        channel = spots.subscribed(spots.received(index).session).channel
        others = [session for session in spots.open_at(index) if spots.subscribed(session).channel != channel]
        found += [(index, session) for session in others]
    if not found:
        return None
    index, session = draw.choice(found)
    return changed(spots, index, replace(spots.received(index), session=session)), Rule.TRUTH


def altered(spots: Spots, draw: Random) -> Mutated:
    """A message comes with another payload."""
    index = draw.choice(spots.receipts)
    return changed(spots, index, replace(spots.received(index), digest="another")), Rule.TRUTH


def invented(spots: Spots, draw: Random) -> Mutated:
    """A message comes that nobody sent."""
    index = draw.choice(spots.receipts)
    return changed(spots, index, replace(spots.received(index), message="who?")), Rule.TRUTH


def refused_falsely(spots: Spots, draw: Random) -> Mutated:
    """A publisher is told that a message was not published which came to somebody."""
    came = {spots.received(index).message for index in spots.receipts}
    index = draw.choice([index for label, index in spots.acknowledged.items() if label in came])
    label = next(label for label, at in spots.acknowledged.items() if at == index)
    return changed(spots, index, Refused(at=spots.history[index].at, message=label)), Rule.TRUTH
