"""A second chance for attacks whose verdict may be the machine's fault."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Final

from tests.attacks.verdict import Judgement, Outcome

REPEAT_SECONDS: Final = 60.0
"""What repetitions may take in all, so that a noisy machine isn't kept for twice the time."""


class Repetitions:
    """Gives an attack another chance, once, when its verdict is void, or one of latency alone, and there is time.

    What is slow because of an attack is so again.

    Args:
        seconds: what all repetitions may take; none begins later, but the last may end later.
        clock: returns seconds; never goes back.
    """

    def __init__(self, seconds: float = REPEAT_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock

    def attempts(self, measure: Callable[[], Outcome]) -> Iterator[Outcome]:
        """Measure once or twice; the last outcome counts."""
        outcome = measure()
        yield outcome
        if outcome.verdict.judgement is not Judgement.HELD and not outcome.certain and self._seconds > 0:
            begin = self._clock()
            outcome = measure()
            self._seconds -= self._clock() - begin
            yield outcome
