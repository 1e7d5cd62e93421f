"""A part knows what it should have led to, and says what came of it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.plan.dialect import Dialect
from relay.loadtest.plan.plan import Hears, Plan
from relay.loadtest.plan.schedule import NANO
from relay.loadtest.run.measured_step import Part
from tests.loadtest.progress_reports import times


def make_plan(**given: object) -> Plan:
    """Return a plan."""
    return Plan(urls=("ws://h",), dialect=Dialect(), **given)  # type: ignore[arg-type]


def test_messages_of_the_lead_do_not_count() -> None:
    part = Part(make_plan(clients=5), begin=3, lead=2, rate=10.0, seconds=4)
    assert (part.table.messages, part.table.begin, part.first, part.end) == (60, 3, 5, 9)
    assert (part.offered, part.expected) == (40, 200)


@given(st.integers(1, 7), st.integers(1, 4), st.integers(0, 9), st.sampled_from(Hears), st.floats(0.5, 60))
def test_expected_deliveries_are_those_of_the_messages_one_by_one(
    publishers: int, channels: int, clients: int, hears: Hears, rate: float
) -> None:
    plan = make_plan(publishers=publishers, channels=channels, clients=clients, hears=hears)
    part = Part(plan, begin=1, lead=1, rate=rate, seconds=2)
    expected = 0
    for message in range(part.table.messages):
        if not 2 * NANO <= part.table.due(message) < 4 * NANO:
            continue
        publisher = message % publishers
        channel = publisher % channels
        mates = sum(other % channels == channel for other in range(publishers))
        expected += sum(client % channels == channel for client in range(clients))
        expected += {Hears.ALL: mates, Hears.OTHERS: mates - 1, Hears.NOTHING: 0}[hears]
    assert part.expected == expected


def test_a_part_that_is_cut_short_offers_only_what_was_due() -> None:
    part = Part(make_plan(clients=1), begin=1, lead=1, rate=10.0, seconds=5)
    part.cut_short(3.55)
    assert (part.end, part.offered, part.table.messages) == (4, 16, 26)
    part.cut_short(100.0)
    assert (part.end, part.offered) == (4, 16)


def test_a_part_that_is_cut_short_before_it_counts_offers_nothing() -> None:
    part = Part(make_plan(), begin=5, lead=1, rate=10.0, seconds=5)
    part.cut_short(2.0)
    assert (part.first, part.end, part.offered, part.expected) == (6, 6, 0, 0)
    assert part.step(Counter()).seconds == 0


def test_a_step_says_what_came_of_it() -> None:
    part = Part(make_plan(clients=2), begin=1, lead=1, rate=10.0, seconds=2)
    part.due.pour(times(1000, 2000))
    part.sent.pour(times(900))
    part.broken = "too much"
    step = part.step(Counter({1: 10, 2: 9, 3: 8, 4: 7}))
    assert (step.rate, step.seconds, step.offered, step.sent) == (10.0, 2, 20, 17)
    assert (step.delivered, step.expected, step.broken) == (2, 40, "too much")
    assert (step.latency.count, step.latency_sent.count) == (2, 1)
    assert step.latency.max == pytest.approx(0.002)
