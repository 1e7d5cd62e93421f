"""Lies about what came: messages are lost or doubled."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from tests.faults.judge import Rule
from tests.faults.mutations.changes import Mutated, changed, inserted, without
from tests.faults.mutations.spots import Spots
from tests.faults.operations import Received


def lost(spots: Spots, draw: Random) -> Mutated:
    """A session doesn't get one message, and gets later ones."""
    found = [one for one, _ in spots.followed()]
    return (without(spots, draw.choice(found)), Rule.TOLD) if found else None


def lost_last(spots: Spots, draw: Random) -> Mutated:
    """A session doesn't get the last message, and nothing comes behind it."""
    last = [stretches[-1] for session, stretches in spots.stretches.items() if spots.is_open_ended(session)]
    found = [stretch.came[-1] for stretch in last if stretch.came and spots.is_owed(stretch.came[-1], stretch)]
    return (without(spots, draw.choice(found)), Rule.ONCE) if found else None


def lost_by_all(spots: Spots, draw: Random) -> Mutated:
    """An acknowledged message was never published."""
    found = [one for one, _ in spots.followed()]
    if not found:
        return None
    label = spots.received(draw.choice(found)).message
    return [one for one in spots.history if not (isinstance(one, Received) and one.message == label)], Rule.TOLD


def doubled(spots: Spots, draw: Random) -> Mutated:
    """A session gets a message twice, which was acknowledged or not."""
    index = draw.choice([index for index in spots.receipts if not spots.may_be_twice(index)])
    operation = spots.received(index)
    polls = spots.subscribed(operation.session).kind == "polls"  # one that is told meanwhile begins anew, perhaps
    place = draw.randint(index + 1, index + 1 if polls else spots.end_of(operation.session))
    copy = replace(operation, at=spots.history[place - 1].at)
    return inserted(spots, place, copy), Rule.ONCE if operation.message in spots.acknowledged else Rule.TRUTH


def resumed_too_early(spots: Spots, draw: Random) -> Mutated:
    """A session that goes on after a position gets the message at it again."""
    found = [
        (receipt, session, stretch.begun)
        for session, stretch in spots.resumed().items()
        for receipt in spots.receipts
        if receipt < stretch.begun
        and spots.received(receipt).position == spots.subscribed(session).since
        and not spots.may_be_twice(receipt)
    ]
    if not found:
        return None
    receipt, session, begun = draw.choice(found)
    copy = replace(spots.received(receipt), session=session, at=spots.history[begun].at)
    return inserted(spots, begun + 1, copy), Rule.ONCE


def resumed_too_late(spots: Spots, draw: Random) -> Mutated:
    """A session that goes on after a position doesn't get the first message behind it."""
    found = [
        stretch.came[0]
        for stretch in spots.resumed().values()
        if len(stretch.came) > 1
        and spots.was_acknowledged_at_its_position(stretch.came[0], stretch.begun)
        and not any(spots.may_be_twice(index) for index in stretch.came[:2])
    ]
    return (without(spots, draw.choice(found)), Rule.ONCE) if found else None


def resumed_beyond(spots: Spots, draw: Random) -> Mutated:
    """A session goes on after a position that is one too far, and doesn't get the message at it."""
    found = [
        stretch
        for session, stretch in spots.resumed().items()
        if len(stretch.came) > 1
        and spots.was_acknowledged_at_its_position(stretch.came[0], stretch.begun)
        and not any(spots.may_be_twice(index) for index in stretch.came[:2])
        and spots.goes_on_where_it_was(session)
    ]
    if not found:
        return None
    stretch = draw.choice(found)
    first = spots.received(stretch.came[0])
    history = changed(spots, stretch.begun, replace(spots.subscribed(first.session), since=first.position))
    del history[stretch.came[0]]
    return history, Rule.ONCE


def recovered_falsely(spots: Spots, draw: Random) -> Mutated:
    """A session that lacks messages since its position is told that it lacks none."""
    found = []
    for session, stretches in spots.stretches.items():
        operation = spots.subscribed(session)
        if operation.recovered is False and operation.since and stretches and spots.lacking_since(session):
            epoch = operation.since.rpartition(":")[0]
            if any(spots.epoch(index) == epoch and not spots.may_be_twice(index) for index in stretches[0].came):
                found.append((stretches[0].begun, operation))
    if not found:
        return None
    index, operation = draw.choice(found)
    return changed(spots, index, replace(operation, recovered=True)), Rule.ONCE
