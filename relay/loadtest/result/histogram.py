"""HdrHistograms of times in µs, and their figures in seconds."""

from __future__ import annotations

from typing import Final

from hdrh.histogram import HdrHistogram

from relay.loadtest.result.result import Percentiles

LONGEST_SECONDS: Final = 3600
DIGITS: Final = 3

_MICRO: Final = 1e-6
_NAMED: Final = (50.0, 90.0, 99.0, 99.9, 99.99)
_TICKS_PER_HALVING: Final = 5


def new_histogram() -> HdrHistogram:
    """Return an empty histogram of three digits, up to an hour."""
    return HdrHistogram(1, LONGEST_SECONDS * 1_000_000, DIGITS)


def seconds_at(histogram: HdrHistogram, percentile: float) -> float:
    """Return the time in seconds that a share of all times in percent doesn't exceed."""
    return float(histogram.get_value_at_percentile(percentile)) * _MICRO


def longest(histogram: HdrHistogram) -> float:
    """Return the longest time in seconds."""
    return float(histogram.get_max_value()) * _MICRO


def percentiles(histogram: HdrHistogram) -> Percentiles:
    """Return all figures of a histogram."""
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
        mean=histogram.get_mean_value() * _MICRO,
        p50=p50,
        p90=p90,
        p99=p99,
        p99_9=p99_9,
        p99_99=p99_99,
        max=longest(histogram),
        spectrum=spectrum,
    )
