"""Counts of times in the very buckets of a HdrHistogram of three digits, filled by numpy.

A histogram's own method takes a microsecond or two for each value: more than receiving a delivery does.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from relay.loadtest.result.histogram import LONGEST_SECONDS, new_histogram

Times = NDArray[np.int64]

Counts = tuple[Times, Times]
"""Numbers of buckets and how many times each holds."""

_EXACT: Final = 2048
"""Times below so many µs have a bucket each; above, each doubling has half as many buckets: three digits."""

_BITS: Final = 11
_SHIFTS: Final = 22


class Buckets:
    """How many times fell into which bucket."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Times = np.zeros(_EXACT * _SHIFTS, dtype=np.int64)

    @property
    def total(self) -> int:
        """How many times were counted."""
        return int(self._counts.sum())

    def add(self, times: Times) -> None:
        """Count times given in µs."""
        values = np.clip(times, 1, LONGEST_SECONDS * 1_000_000)
        # frexp's exponent is the number of binary digits; all but the first eleven are cut off.
        shifts = np.maximum(np.frexp(values.astype(np.float64))[1].astype(np.int64) - _BITS, 0)
        counted = np.bincount(shifts * _EXACT + (values >> shifts))
        self._counts[: len(counted)] += counted

    def add_one(self, time: int) -> None:
        """Count one time given in µs."""
        time = min(max(time, 1), LONGEST_SECONDS * 1_000_000)
        shift = max(0, time.bit_length() - _BITS)
        self._counts[shift * _EXACT + (time >> shift)] += 1

    def take(self) -> Counts:
        """Return the buckets that hold something, and empty them."""
        filled = np.flatnonzero(self._counts)
        counts = self._counts[filled]
        self._counts[filled] = 0
        return filled, counts

    def pour(self, counts: Counts) -> None:
        """Add what was taken from others: what several workers counted becomes one distribution."""
        self._counts[counts[0]] += counts[1]

    def histogram(self) -> HdrHistogram:
        """Return the HdrHistogram of all times."""
        histogram = new_histogram()
        for index in np.flatnonzero(self._counts).tolist():
            shift, digits = divmod(index, _EXACT)
            histogram.record_value(digits << shift, int(self._counts[index]))
        return histogram
