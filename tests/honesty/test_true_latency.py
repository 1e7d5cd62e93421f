"""However a server is late, the percentiles say so, counted from when messages were due; only thresholds fail by it."""

from __future__ import annotations

from functools import partial

import pytest

from relay.loadtest.result import Percentiles
from tests.harness.broadcast_server import BroadcastServer
from tests.harness.rough_server import LateServer, StallingServer
from tests.honesty.trial import Tried, against, counts

pytestmark = pytest.mark.timeout(120)  # the first test waits for the runs of all


def is_rising(latency: Percentiles) -> bool:
    """Return whether no percentile is smaller than a lower one."""
    values = [latency.p50, latency.p90, latency.p99, latency.p99_9, latency.p99_99, latency.max]
    return values == sorted(values) and list(latency.spectrum) == sorted(latency.spectrum)


def check_delay(tried: Tried[BroadcastServer]) -> None:
    """Check that 20 ms show everywhere, and that nothing else was wrong."""
    assert counts(tried.faults) == {}
    for latency in (tried.step.latency, tried.step.latency_sent):
        assert latency.count == 800
        assert 0.02 <= latency.p50 < 0.03
        assert 0.02 <= latency.mean < 0.04
        assert latency.spectrum[0][1] >= 0.02
        assert is_rising(latency)


@against(partial(LateServer, 0.02), "--settle", "1s", "--fail-if", "p99>10s", "--fail-if", "lost>0")
def test_a_delay_shows_in_every_percentile_and_fails_nothing(tried: Tried[BroadcastServer]) -> None:
    check_delay(tried)
    assert (tried.code, tried.result.verdict) == (0, [])


@against(partial(LateServer, 0.02), "--settle", "1s", "--fail-if", "p99>10ms")
def test_a_delay_breaks_a_threshold(tried: Tried[BroadcastServer]) -> None:
    check_delay(tried)
    assert tried.code == 1
    (sentence,) = tried.result.verdict
    assert "p99 was" in sentence


@against(partial(StallingServer, at=200, seconds=2.0), "--settle", "1s", "--duration", "5s", "--fail-if", "p50>100ms")
def test_a_stall_shows_in_full(tried: Tried[BroadcastServer]) -> None:
    """As long as the server stands still, messages go on being due: their share of the percentiles is the stall's."""
    assert (tried.code, counts(tried.faults)) == (0, {}), tried.outcome.output
    step, latency = tried.step, tried.step.latency
    assert (step.offered, step.sent, latency.count) == (1000, 1000, 4000)
    assert latency.p50 < 0.1
    # Messages of 2 in 5 seconds wait, the first of them 2 s, the last one not at all.
    # What a busy machine adds comes on top; less than the stall it can never be.
    assert latency.p90 == pytest.approx(1.55, abs=0.15)
    assert latency.p99 == pytest.approx(2.0, abs=0.1)
    assert latency.p99_9 == pytest.approx(2.1, abs=0.15)
    assert 1.95 < latency.max < 2.5
    assert latency.mean == pytest.approx(0.45, abs=0.1)
    assert is_rising(latency)
    assert max(moment.max or 0.0 for moment in tried.result.moments) == pytest.approx(latency.max, rel=0.01)
