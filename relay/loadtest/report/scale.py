"""Scales: from values to places on an axis, and the round values for its labels."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Final

_ROUND: Final = (1.0, 2.0, 5.0)
_HEADROOM: Final = 1.02
_ONLY_DECADES: Final = 200
_TIME_STEPS: Final = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


class Scale(ABC):
    """The range of an axis.

    Attributes:
        low: value at its beginning.
        high: value at its end; more than `low`.
    """

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high

    @abstractmethod
    def place(self, value: float) -> float:
        """Return the place of a value, 0 at the beginning to 1 at the end; values outside are clamped."""

    @abstractmethod
    def ticks(self, limit: int) -> list[float]:
        """Return at most `limit` round values in the range, rising."""


class Linear(Scale):
    """A linear scale.

    Args:
        low: value at the beginning.
        values: values that must fit; the end is the next round value.
        least: smallest end.
    """

    def __init__(self, values: Iterable[float], *, low: float = 0.0, least: float = 0.0) -> None:
        high = max(max(values, default=0.0) * _HEADROOM, least)
        if high <= low:
            high = low + 1.0
        step = _round_up((high - low) / 10)
        super().__init__(low, low + math.ceil((high - low) / step * (1 - 1e-9)) * step)

    def place(self, value: float) -> float:
        return _clamp((value - self.low) / (self.high - self.low))

    def ticks(self, limit: int) -> list[float]:
        step = _round_up((self.high - self.low) / max(limit - 1, 1))
        return _multiples(step, self.low, self.high)


class Time(Scale):
    """A scale for the seconds of a run: it ends where the run ends, and its steps are those of a clock."""

    def __init__(self, end: float) -> None:
        super().__init__(0.0, max(end, 1.0))

    def place(self, value: float) -> float:
        return _clamp(value / self.high)

    def ticks(self, limit: int) -> list[float]:
        least = self.high / max(limit - 1, 1)
        step = next((float(step) for step in _TIME_STEPS if step >= least), _round_up(least))
        return _multiples(step, 0.0, self.high)


class Log(Scale):
    """A logarithmic scale.

    Args:
        values: values that must fit; values that aren't positive are placed at the beginning.
    """

    def __init__(self, values: Iterable[float]) -> None:
        positive = [value for value in values if value > 0]
        low = _round_down(min(positive, default=1.0))
        high = _round_up(max(positive, default=10.0))
        if high / low > _ONLY_DECADES:  # then the ends are powers of ten, too, and have a label
            low, high = 10.0 ** math.floor(math.log10(low) + 1e-9), 10.0 ** math.ceil(math.log10(high) - 1e-9)
        super().__init__(low, high if high > low else _round_up(low * 1.5))

    def place(self, value: float) -> float:
        if value <= self.low:
            return 0.0
        return _clamp(math.log(value / self.low) / math.log(self.high / self.low))

    def ticks(self, limit: int) -> list[float]:
        return _decades(self.low, self.high, limit, _ROUND)


class Tail(Scale):
    """A scale for percentiles (0 to 100) that spreads the highest ones: 90, 99 and 99.9 are equally far apart.

    Args:
        end: the highest percentile below 100 that has a place of its own.
    """

    def __init__(self, end: float) -> None:
        super().__init__(0.0, min(max(end, 90.0), 100 - 1e-10))

    def place(self, value: float) -> float:
        if value >= self.high:
            return 1.0
        return math.log(1 - value / 100) / math.log(1 - self.high / 100)

    def ticks(self, limit: int) -> list[float]:
        nines = [100 * (1 - 10.0**-power) for power in range(round(-math.log10(1 - self.high / 100) + 0.4999) + 1)]
        fitting = [value for value in nines if value <= self.high + 1e-12]
        return fitting[:: math.ceil(len(fitting) / max(limit, 1))]


def _clamp(place: float) -> float:
    return min(max(place, 0.0), 1.0)


def _round_up(value: float) -> float:
    """Return the least of 1, 2, 5, 10, 20, … (and their fractions) that isn't less than the value."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (*_ROUND, 10.0) if factor * power >= value * (1 - 1e-9))


def _round_down(value: float) -> float:
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (10.0, *reversed(_ROUND)) if factor * power <= value * (1 + 1e-9))


def _multiples(step: float, low: float, high: float) -> list[float]:
    first = math.ceil(low / step * (1 - 1e-9))
    last = math.floor(high / step * (1 + 1e-9))
    return [number * step for number in range(first, last + 1)]


def _decades(low: float, high: float, limit: int, factors: Sequence[float]) -> list[float]:
    """Return the round values of a logarithmic axis; only every n-th power of ten when there are too many."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    powers = [10.0**power for power in range(first, last + 1)]
    inside = (low * (1 - 1e-9), high * (1 + 1e-9))
    every = [factor * power for power in powers for factor in factors if inside[0] <= factor * power <= inside[1]]
    if len(every) <= limit:
        return every
    tens = [power for power in powers if inside[0] <= power <= inside[1]]
    return tens[:: math.ceil(len(tens) / max(limit, 1))]
