"""A step knows the deliveries that it should lead to, and returns its result."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.plan.plan import Dialect, Hears, Plan
from relay.loadtest.plan.schedule import NANO
from relay.loadtest.run.measured_step import MeasuredStep
from tests.loadtest.progress_reports import times


def make_plan(**given: object) -> Plan:
    """Return a plan."""
    return Plan(urls=("ws://h",), dialect=Dialect(), **given)  # type: ignore[arg-type]


def test_messages_of_the_lead_do_not_count() -> None:
    step = MeasuredStep(make_plan(clients=5), begin=3, lead=2, rate=10.0, seconds=4)
    assert (step.schedule.messages, step.schedule.begin, step.first, step.end) == (60, 3, 5, 9)
    assert (step.offered, step.expected) == (40, 200)


@given(st.integers(1, 7), st.integers(1, 4), st.integers(0, 9), st.sampled_from(Hears), st.floats(0.5, 60))
def test_expected_deliveries_are_those_of_the_messages_one_by_one(
    publishers: int, channels: int, clients: int, hears: Hears, rate: float
) -> None:
    plan = make_plan(publishers=publishers, channels=channels, clients=clients, hears=hears)
    step = MeasuredStep(plan, begin=1, lead=1, rate=rate, seconds=2)
    expected = 0
    for message in range(step.schedule.messages):
        if not 2 * NANO <= step.schedule.due(message) < 4 * NANO:
            continue
        publisher = message % publishers
        channel = publisher % channels
        mates = sum(other % channels == channel for other in range(publishers))
        expected += sum(client % channels == channel for client in range(clients))
        expected += {Hears.ALL: mates, Hears.OTHERS: mates - 1, Hears.NOTHING: 0}[hears]
    assert step.expected == expected


def test_a_step_that_is_cut_short_offers_only_what_was_due() -> None:
    step = MeasuredStep(make_plan(clients=1), begin=1, lead=1, rate=10.0, seconds=5)
    step.cut_short(3.55)
    assert (step.end, step.offered, step.schedule.messages) == (4, 16, 26)
    step.cut_short(100.0)
    assert (step.end, step.offered) == (4, 16)


def test_a_step_that_is_cut_short_before_it_counts_offers_nothing() -> None:
    step = MeasuredStep(make_plan(), begin=5, lead=1, rate=10.0, seconds=5)
    step.cut_short(2.0)
    assert (step.first, step.end, step.offered, step.expected) == (6, 6, 0, 0)
    assert step.to_result(Counter()).seconds == 0


def test_a_step_says_what_came_of_it() -> None:
    step = MeasuredStep(make_plan(clients=2), begin=1, lead=1, rate=10.0, seconds=2)
    step.due.merge(times(1000, 2000))
    step.sent.merge(times(900))
    step.broken = "too much"
    result = step.to_result(Counter({1: 10, 2: 9, 3: 8, 4: 7}))
    assert (result.rate, result.seconds, result.offered, result.sent) == (10.0, 2, 20, 17)
    assert (result.delivered, result.expected, result.broken) == (2, 40, "too much")
    assert (result.latency.count, result.latency_sent.count) == (2, 1)
    assert result.latency.max == pytest.approx(0.002)
