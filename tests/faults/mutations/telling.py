"""Lies about who was told that messages are missing."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from msgspec.structs import replace

from tests.faults.judge import Rule
from tests.faults.mutations.changes import Mutated, inserted, without
from tests.faults.mutations.spots import Spots
from tests.faults.operations import Ended, ToldMissed


def epoch_changed_silently(spots: Spots, draw: Random) -> Mutated:
    """A session isn't told that there is another epoch."""
    found = []
    for _, before, after in spots.told_between():
        if (
            before.came
            and after.came
            and not spots.may_be_twice(before.came[-1])
            and not spots.may_be_twice(after.came[0])
        ):
            epochs = [spots.epoch(before.came[-1]), spots.epoch(after.came[0])]
            if None not in epochs and epochs[0] != epochs[1]:
                found.append(after.begun)
    return (without(spots, draw.choice(found)), Rule.TOLD) if found else None


def gap_untold(spots: Spots, draw: Random) -> Mutated:
    """A session isn't told that it lacks messages."""
    found = list(_told_of_something(spots))
    return (without(spots, draw.choice(found)[0]), Rule.TOLD) if found else None


def told_too_late(spots: Spots, draw: Random) -> Mutated:
    """A session is told behind the next message that it lacks some."""
    found = list(_told_of_something(spots))
    if not found:
        return None
    told, later = draw.choice(found)
    operation = replace(spots.history[told], at=spots.history[later].at)
    history = inserted(spots, later + 1, operation)
    del history[told]
    return history, Rule.TOLD


def never_closed(spots: Spots, draw: Random) -> Mutated:
    """A plain WebSocket that lacks messages hears on, and is not closed."""
    found = []
    for session, stretches in spots.stretches.items():
        (stretch,) = stretches if len(stretches) == 1 else [None]
        if stretch is None or stretch.told is None or spots.subscribed(session).kind != "websocket":
            continue
        lacking = spots.lacking(session, stretch)
        later = [spots.received(index).message for index in stretch.came if not spots.may_be_twice(index)]
        if any(spots.follows(label, other) for label in lacking for other in later):
            found.append(stretch.told)
    return (without(spots, draw.choice(found)), Rule.TOLD) if found else None


def closed_too_late(spots: Spots, draw: Random) -> Mutated:
    """A plain WebSocket that lacks messages is closed only when the run is over."""
    mutated = never_closed(spots, draw)
    if mutated is None:
        return None
    history, rule = mutated
    closed = next(one for one, other in zip(spots.history, history, strict=False) if one is not other)
    assert isinstance(closed, Ended)
    return [
        *history[: spots.finished - 1],
        replace(closed, at=history[spots.finished - 1].at),
        *history[spots.finished - 1 :],
    ], rule


def _told_of_something(spots: Spots) -> Iterator[tuple[int, int]]:
    """Yield where sessions were told of what they lack, and where the next message came, which proves it."""
    for session, before, after in spots.told_between():
        if (
            not isinstance(spots.history[after.begun], ToldMissed)
            or not after.came
            or spots.may_be_twice(after.came[0])
        ):
            continue
        later = spots.received(after.came[0]).message
        if any(spots.follows(label, later) for label in spots.lacking(session, before)):
            yield after.begun, after.came[0]
