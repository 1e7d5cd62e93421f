"""A history with one operation more, less, or another one."""

from __future__ import annotations

from tests.faults.judge import Rule
from tests.faults.mutations.spots import Spots
from tests.faults.operations import AnyOperation, History

Mutated = tuple[History, Rule] | None
"""A history, and a rule that it breaks; None: the lie doesn't fit the history."""


def without(spots: Spots, index: int) -> History:
    """Return a history without the operation at a place."""
    return [*spots.history[:index], *spots.history[index + 1 :]]


def inserted(spots: Spots, index: int, operation: AnyOperation) -> History:
    """Return a history with another operation before that at a place."""
    return [*spots.history[:index], operation, *spots.history[index:]]


def changed(spots: Spots, index: int, operation: AnyOperation) -> History:
    """Return a history with another operation at a place."""
    return [*spots.history[:index], operation, *spots.history[index + 1 :]]
