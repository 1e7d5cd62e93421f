"""The named figures of a result."""

from __future__ import annotations

import pytest

from relay.loadtest.result.faults import Faults
from relay.loadtest.result.figure import FIGURES
from tests.loadtest.sample_results import make_result


@pytest.mark.parametrize("name", sorted(FIGURES))
def test_every_figure_can_be_read_or_says_why_not(name: str) -> None:
    """None of them names a field that a result doesn't have."""
    figure = FIGURES[name]
    value = figure.read(make_result())
    assert figure.absence if value is None else figure.unit.show(value, 3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("p50", 0.01), ("p90", 0.02), ("p99.9", 0.1), ("p99.99", 0.2), ("max", 0.3), ("sent_p50", 0.009)],
)
def test_percentiles_are_those_of_their_name(name: str, value: float) -> None:
    """With the dots that people write."""
    assert FIGURES[name].read(make_result()) == value


def test_every_count_of_faults_has_a_name() -> None:
    """A new kind of fault must not be out of reach."""
    explained = {"incidents", "returned", "slow_closed"}
    assert set(Faults.__struct_fields__) - explained <= set(FIGURES)
