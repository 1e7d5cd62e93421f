"""Pairs, their order, and their ratios."""

from __future__ import annotations

import pytest

from bench.compare.comparison import AFTER, BEFORE, Comparison, turns

from .readings import COST, RATE, comparison, reading


def test_the_side_that_comes_first_alternates() -> None:
    flat = [side for pair in turns(4) for side in pair]
    assert flat == [BEFORE, AFTER, AFTER, BEFORE, BEFORE, AFTER, AFTER, BEFORE]


def test_what_grows_all_the_time_meets_both_sides_alike() -> None:
    moments = {BEFORE: 0, AFTER: 0}
    for moment, side in enumerate(side for pair in turns(6) for side in pair):
        moments[side] += moment
    assert moments[BEFORE] == moments[AFTER]


def test_the_median_of_the_ratios_isnt_the_ratio_of_the_medians() -> None:
    """A spell that slows down both runs of a pair leaves its ratio as it is."""
    row = comparison(COST, (10, 11), (20, 22), (30, 33), (11, 12.1), (10, 11))
    assert row.pair_ratios == pytest.approx([1.1] * 5)
    row = comparison(COST, (10, 11), (30, 15), (12, 13.2))
    assert row.ratio_of_medians == pytest.approx(13.2 / 12)
    assert row.pair_ratio == pytest.approx(1.1)


def test_a_cost_that_grew_is_worse() -> None:
    row = comparison(COST, (100, 104), (100, 103), (100, 99))
    assert row.worse_pairs == 2
    assert row.fails(1.02)
    assert not row.fails(1.03)


def test_a_rate_that_fell_is_worse() -> None:
    row = comparison(RATE, (104, 100), (103, 100), (99, 100))
    assert row.worse_pairs == 2
    assert row.fails(1.02)
    assert not row.fails(1.035)


def test_a_rate_of_nothing_is_worse_than_any_limit() -> None:
    assert comparison(RATE, (100, 0)).fails(1000)


def test_without_anything_to_divide_by_there_is_no_ratio_and_that_fails() -> None:
    row = comparison(COST, (0, 1))
    assert (row.ratio_of_medians, row.pair_ratio, row.pair_ratios) == (None, None, [])
    assert row.fails(1.03)
    assert Comparison(COST).ratio_of_medians is None


def test_a_loss_after_fails_whatever_it_costs() -> None:
    row = Comparison(COST)
    row.add({BEFORE: reading(2, lost=1), AFTER: reading(1)})
    assert not row.fails(1.03)
    row.add({BEFORE: reading(2), AFTER: reading(1, lost=1)})
    assert row.fails(1.03)
    assert str(row.tally(AFTER)) == "1/0/0"
