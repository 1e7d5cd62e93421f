"""Lies about gateways, and about who is there."""

from __future__ import annotations

from random import Random

from msgspec.structs import replace

from tests.faults.judge import Rule
from tests.faults.mutations.changes import Mutated, changed, inserted
from tests.faults.mutations.spots import Spots
from tests.faults.operations import Ended, History, Leftover, Present, Readiness


def deaf_but_ready(spots: Spots, draw: Random) -> Mutated:
    """A gateway says all the time that it is ready, and nothing gets through it."""
    gateway = draw.randrange(3)
    history: History = [
        replace(one, ready=True, passing=False) if isinstance(one, Readiness) and one.gateway == gateway else one
        for one in spots.history
    ]
    return history, Rule.READINESS


def not_back(spots: Spots, draw: Random) -> Mutated:
    """A gateway is not ready again after the last fault."""
    said = [(index, one) for index, one in enumerate(spots.history) if isinstance(one, Readiness)]
    index, operation = draw.choice(said[-3:])
    return changed(spots, index, replace(operation, ready=False, passing=None)), Rule.READINESS


def subscriber_away(spots: Spots, draw: Random) -> Mutated:
    """A subscriber can't come back after the last fault."""
    session = draw.choice(spots.open_at(spots.finished))
    ended = Ended(at=spots.history[spots.finished].at, session=session)
    return inserted(spots, spots.finished, ended), Rule.READINESS


def member_forgotten(spots: Spots, draw: Random) -> Mutated:
    """Somebody who is there isn't named as present."""
    index, present = _present(spots, draw)
    return changed(spots, index, replace(present, users=present.users[1:])), Rule.PRESENCE


def member_left_over(spots: Spots, draw: Random) -> Mutated:
    """Somebody who is not there is named as present."""
    index, present = _present(spots, draw)
    return changed(spots, index, replace(present, users=(*present.users, "ghost"))), Rule.PRESENCE


def leaked(spots: Spots, draw: Random) -> Mutated:
    """Something is left over in a gateway."""
    index, left = draw.choice([(index, one) for index, one in enumerate(spots.history) if isinstance(one, Leftover)])
    return changed(spots, index, replace(left, after=left.after + 1)), Rule.LEFTOVERS


def _present(spots: Spots, draw: Random) -> tuple[int, Present]:
    return draw.choice([(index, one) for index, one in enumerate(spots.history) if isinstance(one, Present)])
