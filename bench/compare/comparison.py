"""One figure of both sides, run by run, and what their ratios say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from ..reading import Reading, total
from ..tally import Tally

BEFORE, AFTER = "before", "after"


def turns(pairs: int) -> Iterator[tuple[str, str]]:
    """Yield the order of the two sides in each pair: before-after, after-before, before-after ...

    A machine that gets slower or faster all the time meets both sides alike then.
    """
    for number in range(pairs):
        yield (BEFORE, AFTER) if number % 2 == 0 else (AFTER, BEFORE)


@dataclass(frozen=True)
class Figure:
    """What is compared.

    Args:
        name: for people.
        unit: of its values.
        digits: shown behind the decimal point.
        more_is_better: whether a ratio below 1 is the worse one.
    """

    name: str
    unit: str
    digits: int = 2
    more_is_better: bool = False


@dataclass
class Comparison:
    """The readings of one figure, each at the same place as the one it is paired with."""

    figure: Figure
    before: list[Reading] = field(default_factory=list)
    after: list[Reading] = field(default_factory=list)

    def add(self, readings: dict[str, Reading]) -> None:
        """Add a pair: a reading for BEFORE and one for AFTER."""
        self.before.append(readings[BEFORE])
        self.after.append(readings[AFTER])

    @property
    def ratio_of_medians(self) -> float | None:
        """The median of the values after by that of the values before; None when there is nothing to divide by."""
        before = median(reading.value for reading in self.before) if self.before else 0.0
        return median(reading.value for reading in self.after) / before if before else None

    @property
    def pair_ratios(self) -> list[float]:
        """After by before of each pair in which there is something to divide by."""
        pairs = zip(self.before, self.after, strict=True)
        return [after.value / before.value for before, after in pairs if before.value]

    @property
    def pair_ratio(self) -> float | None:
        """The median of the pairs' ratios: what slows down both runs of a pair doesn't count. None without any."""
        return median(self.pair_ratios) if self.pair_ratios else None

    @property
    def worse_pairs(self) -> int:
        """In how many pairs the value after is the worse one."""
        return sum(self._worsening(ratio) > 1 for ratio in self.pair_ratios)

    def fails(self, limit: float) -> bool:
        """Tell whether the figure got worse by more than limit, 1.03 being 3 %; the median of the pairs' ratios counts.

        A figure without a ratio fails, and one for which the side after lost, duplicated or reordered messages.
        """
        ratio = self.pair_ratio
        return ratio is None or self._worsening(ratio) > limit or not self.tally(AFTER).clean

    def _worsening(self, ratio: float) -> float:
        """Return a ratio that is above 1 when the value after is the worse one."""
        if not self.figure.more_is_better:
            return ratio
        return 1 / ratio if ratio else float("inf")

    def tally(self, side: str) -> Tally:
        """Return what happened to all messages of a side."""
        return total(self.readings(side))

    def readings(self, side: str) -> list[Reading]:
        """Return the readings of a side."""
        return self.before if side == BEFORE else self.after
