"""Places on an axis, and its round values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.report.scale import Linear, Log, Scale, Tail, Time

POSITIVE = st.floats(min_value=1e-9, max_value=1e15)


@given(st.lists(POSITIVE, max_size=5), st.integers(2, 12))
def test_every_value_has_its_place_and_every_tick_is_in_the_range(values: list[float], limit: int) -> None:
    """Whatever the values are; and there are never more ticks than asked for."""
    scales: list[Scale] = [Linear(values), Log(values), Time(max(values, default=0.0)), Tail(99.0)]
    for scale in scales:
        places = [scale.place(value) for value in sorted(values)]
        assert all(0 <= place <= 1 for place in places)
        assert places == sorted(places)
        ticks = scale.ticks(limit)
        assert len(ticks) <= limit
        assert ticks == sorted(set(ticks))
        assert all(scale.low * (1 - 1e-6) <= tick <= scale.high * (1 + 1e-6) for tick in ticks)


def test_a_linear_scale_ends_at_a_round_value() -> None:
    """Its ticks are multiples of 1, 2 or 5."""
    scale = Linear([3, 187])
    assert (scale.low, scale.high) == (0, 200)
    assert scale.ticks(6) == [0, 50, 100, 150, 200]
    assert scale.ticks(3) == [0, 100, 200]
    assert scale.place(50) == 0.25


def test_a_linear_scale_has_a_length_though_all_values_are_nought() -> None:
    """Or though there are none."""
    assert Linear([]).high == Linear([0, 0]).high == 1
    assert Linear([0], least=0.1).high == pytest.approx(0.1)


def test_a_logarithmic_scale_has_round_ends() -> None:
    """Within few decades 1, 2 and 5 are round; over many only the decades."""
    assert Log([0.0012, 0.031]).ticks(6) == pytest.approx([0.001, 0.002, 0.005, 0.01, 0.02, 0.05])
    assert Log([0.0012, 0.031]).ticks(3) == pytest.approx([0.001, 0.01])
    assert Log([0.0012, 3.1]).ticks(5) == pytest.approx([0.001, 0.01, 0.1, 1, 10])
    assert Log([1e-9, 1e9]).ticks(6) == pytest.approx([1e-9, 1e-5, 0.1, 1e3, 1e7])


def test_a_logarithmic_scale_places_equal_ratios_equally_far() -> None:
    """What is not positive stands at its beginning."""
    scale = Log([0.001, 0.1])
    assert scale.place(0.01) == pytest.approx(0.5)
    assert scale.place(0) == scale.place(-1) == 0
    assert scale.place(5) == 1


def test_a_logarithmic_scale_has_a_length_though_there_is_one_value() -> None:
    """Or none at all."""
    assert Log([0.001]).high == pytest.approx(0.002)
    assert Log([]).low < Log([]).high


def test_the_tail_gives_each_nine_the_same_room() -> None:
    """From the first percentile to the rarest; all beyond stands at the end."""
    scale = Tail(99.9)
    assert [scale.place(value) for value in (0, 90, 99, 99.9, 100)] == pytest.approx([0, 1 / 3, 2 / 3, 1, 1])
    assert scale.ticks(9) == pytest.approx([0, 90, 99, 99.9])
    assert scale.ticks(2) == pytest.approx([0, 99])
    assert Tail(0).ticks(9) == pytest.approx([0, 90])


def test_time_is_divided_as_a_clock_is() -> None:
    """Steps of 15 s, a minute, an hour."""
    assert Time(40).ticks(5) == [0, 10, 20, 30, 40]
    assert Time(70).ticks(6) == [0, 15, 30, 45, 60]
    assert Time(616).ticks(6) == [0, 300, 600]
    assert Time(200_000_000).ticks(3)[1] > 86_400
    assert Time(0).high == 1
