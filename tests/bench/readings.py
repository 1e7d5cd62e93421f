"""Readings for tests."""

from __future__ import annotations

from bench.compare.comparison import AFTER, BEFORE, Comparison, Figure
from bench.reading import Reading
from bench.tally import Tally

COST = Figure("cost", "µs")
RATE = Figure("rate", "per second", digits=0, more_is_better=True)


def reading(value: float, **faults: int) -> Reading:
    """Return a reading that nothing disturbed; faults are those of Tally."""
    return Reading(value, Tally(**faults), 0.5, 0.5, 0.1, server_waiting=0.0, redis_waiting=0.0, stolen=0.0)


def comparison(figure: Figure, *pairs: tuple[float, float]) -> Comparison:
    """Return a comparison of pairs: the value before, and after."""
    result = Comparison(figure)
    for before, after in pairs:
        result.add({AFTER: reading(after), BEFORE: reading(before)})
    return result
