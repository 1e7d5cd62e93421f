"""What is due when, and by whom, adds up."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from relay.loadtest.plan.schedule import NANO, Schedule

sweep_rates = st.builds(lambda first, steps: first * 1.25**steps, st.sampled_from((1, 10, 100, 33)), st.integers(0, 8))
rates = st.integers(1, 500) | st.floats(0.1, 500) | sweep_rates
tables = st.builds(Schedule, st.integers(0, 5), rates, st.integers(0, 4), st.integers(1, 7))


@given(tables)
def test_counts_are_those_of_the_messages_one_by_one(schedule: Schedule) -> None:
    """All messages, those before a second, and those of one publisher between two seconds."""
    dues = [schedule.due(message) for message in range(schedule.messages)]
    assert dues == sorted(set(dues))
    seconds = range(schedule.begin + int(schedule.seconds) + 2)
    for second in seconds:
        assert schedule.before(second) == sum(due < second * NANO for due in dues), second
    for first, last in ((0, 2), (1, 4), (3, 3), (schedule.begin, seconds[-1])):
        of = [
            sum(first * NANO <= due < last * NANO for due in dues[publisher :: schedule.publishers])
            for publisher in range(schedule.publishers)
        ]
        assert [schedule.of(publisher, first, last) for publisher in range(schedule.publishers)] == of
        assert sum(of) == schedule.before(last) - schedule.before(first)


def test_messages_are_at_even_distances_from_the_beginning_of_a_second() -> None:
    schedule = Schedule(begin=3, rate=4.0, seconds=2, publishers=1)
    dues = [schedule.due(message) / NANO for message in range(schedule.messages)]
    assert dues == [3, 3.25, 3.5, 3.75, 4, 4.25, 4.5, 4.75]
    assert [schedule.before(second) for second in range(7)] == [0, 0, 0, 0, 4, 8, 8]


def test_a_slow_rate_has_seconds_without_messages() -> None:
    schedule = Schedule(begin=0, rate=0.5, seconds=6, publishers=2)
    assert [schedule.due(message) // NANO for message in range(schedule.messages)] == [0, 2, 4]
    assert [schedule.of(publisher, 0, 6) for publisher in (0, 1)] == [2, 1]


@pytest.mark.parametrize(("rate", "seconds", "publishers"), [(0.0, 10, 5), (100.0, 0, 5), (100.0, 10, 0)])
def test_there_may_be_no_messages(rate: float, seconds: int, publishers: int) -> None:
    schedule = Schedule(1, rate, seconds, publishers)
    assert (schedule.messages, schedule.before(100)) == (0, 0)


def test_a_rate_that_is_no_whole_number_loses_nothing_over_hours() -> None:
    schedule = Schedule(begin=0, rate=100 / 3, seconds=7200, publishers=1)
    assert schedule.messages == 240_000
    assert schedule.before(3600) == 120_000
    assert schedule.due(120_000) == 3600 * NANO
