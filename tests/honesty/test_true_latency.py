"""However a server is late, the percentiles say so, counted from when messages were due; only thresholds fail by it."""

from __future__ import annotations

from functools import partial

import pytest

from relay.loadtest.result.result import Percentiles
from tests.harness.rough_server import LateServer, StallingServer
from tests.honesty.trial import Tried, against, counts


def is_rising(latency: Percentiles) -> bool:
    """Return whether no percentile is smaller than a lower one."""
    values = [latency.p50, latency.p90, latency.p99, latency.p99_9, latency.p99_99, latency.max]
    return values == sorted(values) and list(latency.spectrum) == sorted(latency.spectrum)


def own_lateness(tried: Tried[LateServer] | Tried[StallingServer]) -> float:
    """Return how late the load test says that it was itself, in seconds; most of its figures are late by less."""
    generator = tried.result.generator
    return generator.lag.p90 + generator.send_lag.p90


def check_delay(tried: Tried[LateServer]) -> None:
    """Check that 20 ms show everywhere, and that nothing else was wrong."""
    assert counts(tried.faults) == {}
    held, late = sorted(tried.server.held), own_lateness(tried)
    assert len(held) == 200
    for latency in (tried.step.latency, tried.step.latency_sent):
        assert latency.count == 800
        assert 0.02 <= latency.p50 < held[100] + 0.01 + late
        assert 0.02 <= latency.mean < sum(held) / 200 + 0.02 + late
        assert latency.spectrum[0][1] >= 0.02
        assert is_rising(latency)


@against(partial(LateServer, 0.02), "--settle", "1s", "--fail-if", "p99>10s", "--fail-if", "lost>0")
def test_a_delay_shows_in_every_percentile_and_fails_nothing(tried: Tried[LateServer]) -> None:
    check_delay(tried)
    assert (tried.code, tried.result.verdict) == (0, [])


@against(partial(LateServer, 0.02), "--settle", "1s", "--fail-if", "p99>10ms")
def test_a_delay_breaks_a_threshold(tried: Tried[LateServer]) -> None:
    check_delay(tried)
    assert tried.code == 1
    (sentence,) = tried.result.verdict
    assert "p99 was" in sentence


@against(partial(StallingServer, at=200, seconds=2.0), "--settle", "1s", "--duration", "5s", "--fail-if", "p50>100ms")
def test_a_stall_shows_in_full(tried: Tried[StallingServer]) -> None:
    """As long as the server stands still, messages go on being due: their share of the percentiles is the stall's."""
    assert (tried.code, counts(tried.faults)) == (0, {}), tried.outcome.output
    step, latency = tried.step, tried.step.latency
    assert (step.offered, step.sent, latency.count) == (1000, 1000, 4000)
    # Messages of 2 in 5 seconds wait, the first of them 2 s, the last one not at all.
    # What a busy machine adds comes on top; less than the stall it can never be.
    late = own_lateness(tried)
    more = tried.server.stood_still - 2.0 + late
    assert more >= 0.0
    assert latency.p50 < 0.1 + late
    assert 1.4 < latency.p90 < 1.7 + more
    assert 1.9 < latency.p99 < 2.1 + more
    assert 1.95 < latency.p99_9 < 2.25 + more
    assert 1.95 < latency.max < 2.5 + more
    assert 0.35 < latency.mean < 0.55 + more
    assert is_rising(latency)
    assert max(moment.max or 0.0 for moment in tried.result.moments) == pytest.approx(latency.max, rel=0.01)
