"""Counting with numpy comes to what a HdrHistogram comes to, value by value."""

from __future__ import annotations

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.result.result import Percentiles
from relay.loadtest.result.time_histogram import (
    LONGEST_SECONDS,
    TimeHistogram,
    longest,
    new_hdr_histogram,
    percentiles,
    seconds_at,
)

LONGEST = LONGEST_SECONDS * 1_000_000
EDGES = [
    edge + step for power in range(33) for edge in [1 << power] for step in (-1, 0, 1) if 0 < edge + step <= LONGEST
]

times = st.lists(st.integers(1, LONGEST) | st.sampled_from(EDGES), max_size=50)


def counted(values: list[int]) -> TimeHistogram:
    """Return a histogram with these times in it."""
    histogram = TimeHistogram()
    histogram.add(np.array(values, dtype=np.int64))
    return histogram


def contents(histogram: HdrHistogram) -> tuple[bytes, int, int]:
    """Return all of a histogram's counts, its lowest value and its highest."""
    return bytes(histogram.counts), histogram.get_min_value(), histogram.get_max_value()


def values(histogram: TimeHistogram) -> list[int]:
    """Return the value of each place that holds something."""
    recorded = histogram.to_hdr().get_recorded_iterator()
    return [item.value_iterated_to for item in recorded if item.count_added_in_this_iter_step]


def recorded(values: list[int]) -> HdrHistogram:
    """Return a histogram that recorded each time by itself."""
    histogram = new_hdr_histogram()
    for value in values:
        assert histogram.record_value(value)
    return histogram


@given(times)
def test_buckets_are_those_of_a_histogram(values: list[int]) -> None:
    assert contents(counted(values).to_hdr()) == contents(recorded(values))


@given(times)
def test_one_by_one_is_like_all_at_once(values: list[int]) -> None:
    histogram = TimeHistogram()
    for value in values:
        histogram.add_one(value)
    for ours, theirs in zip(histogram.take(), counted(values).take(), strict=True):
        assert ours.tolist() == theirs.tolist()


@given(times, st.floats(0, 100))
def test_percentiles_are_those_of_a_histogram(values: list[int], percentile: float) -> None:
    ours, theirs = counted(values).to_hdr(), recorded(values)
    assert ours.get_value_at_percentile(percentile) == theirs.get_value_at_percentile(percentile)
    assert ours.get_total_count() == theirs.get_total_count() == len(values)


def test_times_below_2048_are_exact() -> None:
    exact = list(range(1, 2048))
    assert values(counted(exact)) == exact


@given(st.integers(2048, LONGEST))
def test_longer_times_are_right_to_a_thousandth(value: int) -> None:
    found = counted([value]).to_hdr().get_max_value()
    assert abs(found - value) <= value / 1000


@pytest.mark.parametrize(("given", "kept"), [(0, 1), (-5, 1), (LONGEST + 1, LONGEST), (1 << 60, LONGEST)])
def test_times_beyond_the_limits_count_as_the_limits(given: int, kept: int) -> None:
    """Clocks of processes may differ by less than a µs; nobody waits an hour."""
    one = TimeHistogram()
    one.add_one(given)
    expected = contents(recorded([kept]))
    assert contents(counted([given]).to_hdr()) == contents(one.to_hdr()) == expected


@given(times, times)
def test_what_is_taken_from_one_and_merged_into_another_is_their_sum(first: list[int], second: list[int]) -> None:
    source, target = counted(first), counted(second)
    target.merge(source.take())
    assert target.total == len(first) + len(second)
    assert contents(target.to_hdr()) == contents(recorded(first + second))
    assert source.total == 0


def test_the_longest_time_has_a_bucket() -> None:
    assert counted([LONGEST]).total == 1


def test_an_empty_histogram_has_nothing_to_take() -> None:
    empty = TimeHistogram()
    empty.add(np.array([], dtype=np.int64))
    assert [part.tolist() for part in empty.take()] == [[], []]
    assert empty.total == 0


def test_figures_of_known_times_are_right() -> None:
    """1, 2, ... 10000 µs, once each."""
    histogram = new_hdr_histogram()
    for microseconds in range(1, 10_001):
        histogram.record_value(microseconds)
    found = percentiles(histogram)
    assert found.count == 10_000
    named = {"p50": 0.005, "p90": 0.009, "p99": 0.0099, "p99_9": 0.00999, "p99_99": 0.009999, "max": 0.01}
    for name, value in named.items():
        assert getattr(found, name) == pytest.approx(value, rel=0.001), name
    assert found.mean == pytest.approx(0.0050005, rel=0.001)


@pytest.mark.parametrize("values", [[1], [2047, 2048, 4095, 4096], [3, 3, 70_000, LONGEST], EDGES])
def test_the_mean_is_that_of_a_histogram(values: list[int]) -> None:
    histogram = recorded(values)
    assert percentiles(histogram).mean == pytest.approx(histogram.get_mean_value() * 1e-6, rel=1e-12)


def test_the_spectrum_rises_to_the_longest_time() -> None:
    histogram = new_hdr_histogram()
    for microseconds in range(1, 1001):
        histogram.record_value(microseconds)
    found = percentiles(histogram)
    assert list(found.spectrum) == sorted(found.spectrum)
    assert found.spectrum[0][0] == 0
    assert found.spectrum[-1] == (100.0, found.max)
    for percentile, value in found.spectrum:
        assert value == pytest.approx(percentile * 1e-5, abs=1.1e-5)


def test_one_time_is_every_percentile() -> None:
    histogram = new_hdr_histogram()
    histogram.record_value(1500)
    found = percentiles(histogram)
    assert {found.p50, found.p90, found.p99, found.p99_9, found.p99_99, found.max} == {0.0015}
    assert (seconds_at(histogram, 10.0), longest(histogram)) == (0.0015, 0.0015)


def test_no_times_have_no_figures() -> None:
    assert percentiles(new_hdr_histogram()) == Percentiles()
