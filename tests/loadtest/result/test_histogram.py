"""Figures of times whose distribution is known."""

from __future__ import annotations

import pytest

from relay.loadtest.result.histogram import longest, new_histogram, percentiles, seconds_at
from relay.loadtest.result.result import Percentiles


def test_figures_of_known_times_are_right() -> None:
    """1, 2, ... 10000 µs, once each."""
    histogram = new_histogram()
    for microseconds in range(1, 10_001):
        histogram.record_value(microseconds)
    found = percentiles(histogram)
    assert found.count == 10_000
    named = {"p50": 0.005, "p90": 0.009, "p99": 0.0099, "p99_9": 0.00999, "p99_99": 0.009999, "max": 0.01}
    for name, value in named.items():
        assert getattr(found, name) == pytest.approx(value, rel=0.001), name
    assert found.mean == pytest.approx(0.0050005, rel=0.001)


def test_the_spectrum_rises_to_the_longest_time() -> None:
    histogram = new_histogram()
    for microseconds in range(1, 1001):
        histogram.record_value(microseconds)
    found = percentiles(histogram)
    assert list(found.spectrum) == sorted(found.spectrum)
    assert found.spectrum[0][0] == 0
    assert found.spectrum[-1] == (100.0, found.max)
    for percentile, value in found.spectrum:
        assert value == pytest.approx(percentile * 1e-5, abs=1.1e-5)


def test_one_time_is_every_percentile() -> None:
    histogram = new_histogram()
    histogram.record_value(1500)
    found = percentiles(histogram)
    assert {found.p50, found.p90, found.p99, found.p99_9, found.p99_99, found.max} == {0.0015}
    assert (seconds_at(histogram, 10.0), longest(histogram)) == (0.0015, 0.0015)


def test_no_times_have_no_figures() -> None:
    assert percentiles(new_histogram()) == Percentiles()
