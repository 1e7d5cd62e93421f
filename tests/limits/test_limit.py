"""The limits: their names, how they are counted and logged, and how a client is refused."""

from __future__ import annotations

import pytest

from relay.limits.limit import Limit, reached, refusal
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


def test_a_limit_that_is_reached_is_counted_and_logged_with_its_setting(capsys: pytest.CaptureFixture[str]) -> None:
    counters = Counters()
    reached(Limit.CHANNELS, counters, user="ann")
    assert counters.limits_reached == {"channels": 1}


def test_a_refusal_says_when_to_come_again() -> None:
    refused = refusal(Limit.PUBLISHES, Counters(), 0.2)
    assert (refused.status, refused.headers) == (429, {"Retry-After": "1"})
    assert refusal(Limit.PUBLISHES, Counters(), 2.1).headers == {"Retry-After": "3"}


def test_clients_that_can_not_know_when_to_come_again_are_spread() -> None:
    """Those that were refused together must not come back together."""
    waits = {refusal(Limit.NEW_CONNECTIONS, Counters()).headers["Retry-After"] for _ in range(200)}
    assert len(waits) > 5
