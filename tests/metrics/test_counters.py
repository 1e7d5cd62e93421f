"""Counters and histograms: counting, adding up, and how a log shows them."""

from __future__ import annotations

from collections import Counter

from relay.metrics.counters import BOUNDS, Counters, Histogram


def test_reasons_in_a_log_are_those_of_the_metrics() -> None:
    """An operator who finds one in the last entry of a log can look it up there."""
    counters = Counters(disconnects=Counter(SLOW_CONSUMER=2), connections_closed=Counter({1013: 2}))
    assert counters.summary() == {"disconnects": {"slow_consumer": 2}, "connections_closed": {1013: 2}}


def test_counts_by_key_are_summed_key_by_key() -> None:
    one = Counters(disconnects=Counter(SLOW_CONSUMER=1, GOING_AWAY=2))
    one.add(Counters(disconnects=Counter(SLOW_CONSUMER=10, INVALID_TEXT=3)))
    assert one.disconnects == {"SLOW_CONSUMER": 11, "GOING_AWAY": 2, "INVALID_TEXT": 3}


def test_histograms_are_summed_bucket_by_bucket() -> None:
    one, other = Counters(), Counters()
    one.publish_latency.observe(0.0001)
    other.publish_latency.observe(0.0001, 3)
    other.publish_latency.observe(1000)
    other.gc_pauses[2].observe(0.003)
    one.add(other)
    assert one.publish_latency.counts == [4, *[0] * (len(BOUNDS) - 1), 1]
    assert one.publish_latency.count == 5
    assert round(one.publish_latency.seconds, 4) == 1000.0004
    assert [one.gc_pauses[generation].count for generation in (0, 1, 2)] == [0, 0, 1]


def test_a_histogram_counts_a_bound_in_its_own_bucket() -> None:
    histogram = Histogram()
    for bound in BOUNDS:
        histogram.observe(bound)
    histogram.observe(BOUNDS[-1] + 1)
    assert histogram.counts == [1] * (len(BOUNDS) + 1)


def test_what_a_client_is_not_given_is_no_delivery() -> None:
    counters = Counters(fanned_out=10, bytes_fanned_out=100)
    counters.count_dropped("skipped", 2, 20)
    counters.count_dropped("closed", 3, 30)
    counters.count_dropped("closed", 4, 40)
    assert (counters.deliveries, counters.bytes_delivered) == (1, 10)
    assert counters.summary()["deliveries_dropped"] == {"skipped": 2, "closed": 7}


def test_a_client_that_lacks_nothing_is_no_entry() -> None:
    counters = Counters()
    counters.count_dropped("closed", 0, 0)
    assert counters.summary() == {}
