"""Counters as a log shows them."""

from __future__ import annotations

from collections import Counter

from relay.metrics.counters import Counters


def test_reasons_in_a_log_are_those_of_the_metrics() -> None:
    """Who finds one in the last entry of a log looks for it there."""
    counters = Counters(disconnects=Counter(SLOW_CONSUMER=2), connections_closed=Counter({1013: 2}))
    assert counters.summary() == {"disconnects": {"slow_consumer": 2}, "connections_closed": {1013: 2}}
