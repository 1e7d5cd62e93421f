"""Lies about the order of messages, and about their positions."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from msgspec.structs import replace

from tests.faults.judge import Rule
from tests.faults.mutations.changes import Mutated, changed
from tests.faults.mutations.spots import Spots
from tests.faults.operations import Acknowledged, AnyOperation, History, Received


def swapped(spots: Spots, draw: Random) -> Mutated:
    """A session gets two messages in the other order."""
    found = []
    for stretches in spots.stretches.values():
        for stretch in stretches:
            for one, other in pairwise(stretch.came):
                proved = spots.follows(spots.received(one).message, spots.received(other).message)
                counted = spots.epoch(one) is not None and spots.epoch(one) == spots.epoch(other)
                sent = spots.was_published(spots.received(other).message, one)
                if sent and (proved or counted) and not spots.may_be_twice(one) and not spots.may_be_twice(other):
                    found.append((one, other))
    if not found:
        return None
    one, other = draw.choice(found)
    first, second = spots.received(one), spots.received(other)
    history = changed(spots, one, replace(second, at=first.at))
    history[other] = replace(first, at=second.at)
    return history, Rule.ORDER


def early_for_all(spots: Spots, draw: Random) -> Mutated:
    """All sessions get a message before another one that was acknowledged when it was published."""
    came: dict[str, int] = {}
    for index in spots.receipts:
        came.setdefault(spots.received(index).message, index)
    pairs = [(spots.received(one).message, spots.received(other).message) for one, other in spots.followed()]
    found = [(one, other) for one, other in pairs if spots.was_published(other, came[one])]
    if not found:
        return None
    one, other = draw.choice(found)
    instead = {one: spots.published[other], other: spots.published[one]}
    history = list(spots.history)
    for index in spots.receipts:
        receipt = spots.received(index)
        if receipt.message in instead:
            message = instead[receipt.message]
            history[index] = replace(receipt, message=message.message, digest=message.digest)
    return history, Rule.ORDER


def moved(spots: Spots, draw: Random) -> Mutated:
    """A message is acknowledged at another position than it has."""
    came = {spots.received(index).message for index in spots.receipts if spots.received(index).position}
    found = [
        operation
        for operation in map(spots.acknowledgement, spots.acknowledged)
        if operation.message in came and operation.position and not spots.published[operation.message].keyed
    ]
    if not found:
        return None
    operation = draw.choice(found)
    moved_to = replace(operation, position=f"{operation.position}0")
    return changed(spots, spots.acknowledged[operation.message], moved_to), Rule.ORDER


def position_reused(spots: Spots, draw: Random) -> Mutated:
    """A position is given out again, as after a failover that nobody noticed."""
    found = [(one, other) for one, other in spots.followed() if spots.received(one).position]
    if not found:
        return None
    one, other = (spots.received(index) for index in draw.choice(found))
    history: History = []
    for operation in spots.history:
        if isinstance(operation, Received | Acknowledged) and operation.message == other.message and operation.position:
            history.append(replace(operation, position=one.position))
        else:
            history.append(operation)
    return history, Rule.ORDER


def offset_skipped(spots: Spots, draw: Random) -> Mutated:
    """From a message on, all offsets of its epoch are one more."""
    found = [stretch.came for stretches in spots.stretches.values() for stretch in stretches if len(stretch.came) > 1]
    pairs = [(one, other) for came in found for one, other in pairwise(came) if spots.epoch(one)]
    pairs = [(one, other) for one, other in pairs if spots.epoch(one) == spots.epoch(other)]
    pairs = [pair for pair in pairs if not any(map(spots.may_be_twice, pair))]
    if not pairs:
        return None
    begin = spots.received(draw.choice(pairs)[1]).position
    assert begin is not None
    return [_shifted(operation, begin) for operation in spots.history], Rule.ORDER


def epoch_kept(spots: Spots, draw: Random) -> Mutated:
    """A history that was lost and begun anew has the epoch that it had before."""
    received = [spots.received(index) for index in spots.receipts if not spots.may_be_twice(index)]
    at = {operation.position: operation.message for operation in received if operation.position}
    found = [place for place in sorted(at) if at.get(_before(place), at[place]) != at[place]]
    if not found:
        return None
    position = draw.choice(found)
    epoch, former = position.rpartition(":")[0], _before(position).rpartition(":")[0]
    return [_renamed(operation, epoch, former) for operation in spots.history], Rule.ORDER


def _before(position: str) -> str:
    """Return the same offset in the epoch before, by the names that the model gives to epochs."""
    epoch, _, offset = position.rpartition(":")
    channel, _, number = epoch.rpartition("e")
    return f"{channel}e{int(number) - 1}:{offset}"


def _renamed(operation: AnyOperation, epoch: str, former: str) -> AnyOperation:
    """Return an operation with another name for an epoch."""
    names = [name for name in ("position", "since") if (getattr(operation, name, None) or "").startswith(f"{epoch}:")]
    return replace(operation, **{name: former + getattr(operation, name)[len(epoch) :] for name in names})


def _shifted(operation: AnyOperation, begin: str) -> AnyOperation:
    """Return an operation with offsets that are one more from a position on, in its epoch."""
    names = [name for name in ("position", "since") if getattr(operation, name, None)]
    return replace(operation, **{name: _moved_on(getattr(operation, name), begin) for name in names})


def _moved_on(position: str, begin: str) -> str:
    (epoch, _, offset), (same, _, first) = position.rpartition(":"), begin.rpartition(":")
    return f"{epoch}:{int(offset) + 1}" if epoch == same and int(offset) >= int(first) else position
