"""The limits: their names, how they are counted and logged, and how a client is refused."""

from __future__ import annotations

import pytest

from relay.limits.limit import Limit, reached, refusal
from relay.logs.rate import MOST_ENTRIES
from relay.metrics.counters import Counters
from relay.metrics.prometheus import render_metrics
from relay.metrics.snapshot import Snapshot
from relay.settings import Settings


@pytest.mark.parametrize("limit", Limit)
def test_each_limit_is_changed_by_a_setting_that_exists(limit: Limit) -> None:
    if limit is Limit.ADDRESSES:
        assert limit.setting is None
    else:
        assert str(limit.setting).removeprefix("RELAY_").lower() in Settings.model_fields


def test_each_limit_has_a_series_before_it_is_reached() -> None:
    page = render_metrics(Snapshot(), {}).decode()
    shown = {line.split('"')[1] for line in page.splitlines() if line.startswith("relay_limits_reached_total{")}
    assert shown == {limit.label for limit in Limit}


def test_a_limit_that_is_reached_is_counted_and_logged_with_its_setting(caplog: pytest.LogCaptureFixture) -> None:
    counters = Counters()
    reached(Limit.CHANNELS, counters, user="ann")
    assert counters.limits_reached == {"channels": 1}
    (record,) = caplog.records
    assert record.getMessage() == ("too many channels of a client setting=RELAY_MAX_CHANNELS_PER_CONNECTION user=ann")


def test_each_limit_has_log_entries_of_its_own_at_a_bounded_rate(caplog: pytest.LogCaptureFixture) -> None:
    """So one that is reached all the time doesn't hide the others."""
    counters = Counters()
    for _ in range(100):
        reached(Limit.NEW_CONNECTIONS, counters, remote="192.0.2.1")
    reached(Limit.CHANNELS, counters, user="ann")
    assert counters.limits_reached == {"new_connections": 100, "channels": 1}
    entries = [record.getMessage().partition(" setting=")[0] for record in caplog.records]
    assert entries.count(Limit.NEW_CONNECTIONS.entry) == MOST_ENTRIES
    assert entries.count(Limit.CHANNELS.entry) == 1
    assert len({limit.entry for limit in Limit}) == len(Limit)


def test_a_refusal_says_when_to_come_again() -> None:
    refused = refusal(Limit.PUBLISHES, Counters(), 0.2)
    assert (refused.status, refused.headers) == (429, {"Retry-After": "1"})
    assert refusal(Limit.PUBLISHES, Counters(), 2.1).headers == {"Retry-After": "3"}


def test_clients_that_can_not_know_when_to_come_again_are_spread() -> None:
    """Those that were refused together must not come back together."""
    waits = {refusal(Limit.NEW_CONNECTIONS, Counters()).headers["Retry-After"] for _ in range(200)}
    assert len(waits) > 5
