"""Histograms of times in µs, and their percentiles in seconds.

The buckets are those of an HdrHistogram with three significant digits, but numpy fills them: HdrHistogram's own method
takes a microsecond or two per value, which is more than receiving a delivery takes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.typing import NDArray

from relay.loadtest.result.result import Percentiles

Times = NDArray[np.int64]

BucketCounts = tuple[Times, Times]
"""Indexes of the occupied buckets, and how many times each of them holds."""

LONGEST_SECONDS: Final = 3600
DIGITS: Final = 3

_EXACT: Final = 2048
"""Times below this many µs have a bucket each. Above, each doubling has half as many buckets: three digits."""

_BITS: Final = 11
_SHIFTS: Final = 22

_MICRO: Final = 1e-6
_NAMED: Final = (50.0, 90.0, 99.0, 99.9, 99.99)
_TICKS_PER_HALVING: Final = 5


class TimeHistogram:
    """How many times fell into which bucket."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        self._counts: Times = np.zeros(_EXACT * _SHIFTS, dtype=np.int64)

    @property
    def total(self) -> int:
        """Number of times counted."""
        return int(self._counts.sum())

    def add(self, times: Times) -> None:
        """Count an array of times in µs."""
        values = np.clip(times, 1, LONGEST_SECONDS * 1_000_000)
        # frexp's exponent is the number of binary digits; all but the first eleven are cut off.
        shifts = np.maximum(np.frexp(values.astype(np.float64))[1].astype(np.int64) - _BITS, 0)
        counted = np.bincount(shifts * _EXACT + (values >> shifts))
        self._counts[: len(counted)] += counted

    def add_one(self, time: int) -> None:
        """Count one time in µs."""
        time = min(max(time, 1), LONGEST_SECONDS * 1_000_000)
        shift = max(0, time.bit_length() - _BITS)
        self._counts[shift * _EXACT + (time >> shift)] += 1

    def take(self) -> BucketCounts:
        """Return the occupied buckets, and empty the histogram."""
        filled = np.flatnonzero(self._counts)
        counts = self._counts[filled]
        self._counts[filled] = 0
        return filled, counts

    def merge(self, counts: BucketCounts) -> None:
        """Add what `take` returned elsewhere: the counts of several workers become one distribution."""
        self._counts[counts[0]] += counts[1]

    def to_hdr(self) -> HdrHistogram:
        """Return the HdrHistogram of all times."""
        histogram = new_hdr_histogram()
        for index in np.flatnonzero(self._counts).tolist():
            shift, digits = divmod(index, _EXACT)
            histogram.record_value(digits << shift, int(self._counts[index]))
        return histogram


def new_hdr_histogram() -> HdrHistogram:
    """Return an empty HdrHistogram of three digits, up to an hour."""
    return HdrHistogram(1, LONGEST_SECONDS * 1_000_000, DIGITS)


def seconds_at(histogram: HdrHistogram, percentile: float) -> float:
    """Return the value at a percentile (0 to 100), in seconds."""
    return float(histogram.get_value_at_percentile(percentile)) * _MICRO


def longest(histogram: HdrHistogram) -> float:
    """Return the longest time in seconds."""
    return float(histogram.get_max_value()) * _MICRO


def percentiles(histogram: HdrHistogram) -> Percentiles:
    """Return the percentiles, the mean and the spectrum of a histogram."""
    count = int(histogram.get_total_count())
    if not count:
        return Percentiles()
    p50, p90, p99, p99_9, p99_99 = (seconds_at(histogram, percentile) for percentile in _NAMED)
    spectrum = tuple(
        (float(item.percentile_level_iterated_to), item.value_iterated_to * _MICRO)
        for item in histogram.get_percentile_iterator(_TICKS_PER_HALVING)
    )
    return Percentiles(
        count=count,
        mean=_mean(histogram, count) * _MICRO,
        p50=p50,
        p90=p90,
        p99=p99,
        p99_9=p99_9,
        p99_99=p99_99,
        max=longest(histogram),
        spectrum=spectrum,
    )


def _mean(histogram: HdrHistogram, count: int) -> float:
    # HdrHistogram's own method goes through tens of thousands of buckets, nearly all empty: a tenth of a second.
    counts = np.ctypeslib.as_array(histogram.counts)
    total = 0
    for index in np.flatnonzero(counts).tolist():
        value = histogram.get_value_from_index(index)
        lowest = int(histogram.get_lowest_equivalent_value(value))
        middle = lowest + (int(histogram.get_highest_equivalent_value(value)) - lowest + 1) // 2
        total += middle * int(counts[index])
    return total / count
