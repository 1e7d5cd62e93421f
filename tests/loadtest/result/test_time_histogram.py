"""Counting with numpy comes to what a HdrHistogram comes to, value by value."""

from __future__ import annotations

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.result.histogram import LONGEST_SECONDS, new_histogram
from relay.loadtest.result.time_histogram import Buckets

LONGEST = LONGEST_SECONDS * 1_000_000
EDGES = [
    edge + step for power in range(33) for edge in [1 << power] for step in (-1, 0, 1) if 0 < edge + step <= LONGEST
]

times = st.lists(st.integers(1, LONGEST) | st.sampled_from(EDGES), max_size=50)


def counted(values: list[int]) -> Buckets:
    """Return buckets with these times in them."""
    buckets = Buckets()
    buckets.add(np.array(values, dtype=np.int64))
    return buckets


def contents(histogram: HdrHistogram) -> tuple[bytes, int, int]:
    """Return all of a histogram's counts, its lowest value and its highest."""
    return bytes(histogram.counts), histogram.get_min_value(), histogram.get_max_value()


def values(buckets: Buckets) -> list[int]:
    """Return the value of each place that holds something."""
    recorded = buckets.histogram().get_recorded_iterator()
    return [item.value_iterated_to for item in recorded if item.count_added_in_this_iter_step]


def recorded(values: list[int]) -> HdrHistogram:
    """Return a histogram that recorded each time by itself."""
    histogram = new_histogram()
    for value in values:
        assert histogram.record_value(value)
    return histogram


@given(times)
def test_buckets_are_those_of_a_histogram(values: list[int]) -> None:
    assert contents(counted(values).histogram()) == contents(recorded(values))


@given(times)
def test_one_by_one_is_like_all_at_once(values: list[int]) -> None:
    buckets = Buckets()
    for value in values:
        buckets.add_one(value)
    for ours, theirs in zip(buckets.take(), counted(values).take(), strict=True):
        assert ours.tolist() == theirs.tolist()


@given(times, st.floats(0, 100))
def test_percentiles_are_those_of_a_histogram(values: list[int], percentile: float) -> None:
    ours, theirs = counted(values).histogram(), recorded(values)
    assert ours.get_value_at_percentile(percentile) == theirs.get_value_at_percentile(percentile)
    assert ours.get_total_count() == theirs.get_total_count() == len(values)


def test_times_below_2048_are_exact() -> None:
    exact = list(range(1, 2048))
    assert values(counted(exact)) == exact


@given(st.integers(2048, LONGEST))
def test_longer_times_are_right_to_a_thousandth(value: int) -> None:
    found = counted([value]).histogram().get_max_value()
    assert abs(found - value) <= value / 1000


@pytest.mark.parametrize(("given", "kept"), [(0, 1), (-5, 1), (LONGEST + 1, LONGEST), (1 << 60, LONGEST)])
def test_times_beyond_the_limits_count_as_the_limits(given: int, kept: int) -> None:
    """Clocks of processes may differ by less than a µs; nobody waits an hour."""
    one = Buckets()
    one.add_one(given)
    expected = contents(recorded([kept]))
    assert contents(counted([given]).histogram()) == contents(one.histogram()) == expected


@given(times, times)
def test_what_is_taken_from_some_and_poured_into_others_is_their_sum(first: list[int], second: list[int]) -> None:
    source, target = counted(first), counted(second)
    target.pour(source.take())
    assert target.total == len(first) + len(second)
    assert contents(target.histogram()) == contents(recorded(first + second))
    assert source.total == 0


def test_the_longest_time_has_a_bucket() -> None:
    assert counted([LONGEST]).total == 1


def test_empty_buckets_have_nothing_to_take() -> None:
    empty = Buckets()
    empty.add(np.array([], dtype=np.int64))
    assert [part.tolist() for part in empty.take()] == [[], []]
    assert empty.total == 0
