"""The counters as Prometheus reads them."""

from __future__ import annotations

import dataclasses
from typing import get_args

from relay.auth.credential import Cause
from relay.back_ends.http_client import Failure
from relay.brokers.shares import Share
from relay.errors import Disconnect, Unavailable
from relay.metrics.counters import Counters
from relay.metrics.prometheus import _CURRENT, _GAUGE_TOTALS, _GAUGES, _HISTOGRAMS, _TOTALS, render_metrics
from relay.metrics.snapshot import Gauges, Snapshot
from tests.harness.prometheus import samples

BUILD = {"version": "1.2.3", "revision": "abc"}


def rendered(counters: Counters, gauges: Gauges | None = None) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the samples that counters and gauges become."""
    return samples(render_metrics(Snapshot(counters, gauges or Gauges()), BUILD).decode())


def test_every_counter_and_gauge_is_shown() -> None:
    shown = {series.field for series in _TOTALS + _HISTOGRAMS + _CURRENT}
    computed = {"deliveries", "bytes_delivered", "writes"}
    parts = {"fanned_out", "bytes_fanned_out", "bytes_dropped", "chunks_fanned_out", "chunks_joined"}
    fields = {field.name for field in dataclasses.fields(Counters)}
    assert shown == (fields - parts) | computed
    shown = {series.field for series in _GAUGES + _GAUGE_TOTALS}
    assert shown == {field.name for field in dataclasses.fields(Gauges)}


def test_totals_are_labelled_by_what_they_count() -> None:
    counters = Counters(gaps=2, connections_open=3)
    counters.connections_refused["full"] = 4
    counters.disconnects["SLOW_CONSUMER"] = 5
    read = rendered(counters, Gauges(bus_links={"publications": 0}))
    assert read["relay_gaps_total", ()] == 2
    assert read["relay_connections_open", ()] == 3
    assert read["relay_connections_refused_total", ("full",)] == 4
    assert read["relay_disconnects_total", ("slow_consumer",)] == 5
    assert read["relay_bus_link_up", ("publications",)] == 0
    assert read["relay_ready", ()] == 0
    assert read["relay_build_info", ("abc", "1.2.3")] == 1


def test_reasons_are_shown_before_they_have_happened() -> None:
    """Prometheus' `increase` doesn't see the first event of a series that begins with it."""
    read = rendered(Counters())
    reasons = {labels[0] for name, labels in read if name == "relay_disconnects_total"}
    others = {"protocol_error", "message_too_big", "write_timeout", "unexpected_data"}
    assert reasons == {disconnect.name.lower() for disconnect in Disconnect} | others
    failures = {labels[0] for name, labels in read if name == "relay_publish_failures_total"}
    assert failures == {"bus_unavailable", "delivery_unknown", "publish_buffer_full", "publish_refused"}
    assert read["relay_connections_closed_total", ("1006",)] == 0
    shares = {labels[0] for name, labels in read if name == "relay_bus_buffer_bytes"}
    assert shares == {share.value for share in Share}
    dropped = {labels[0] for name, labels in read if name == "relay_deliveries_dropped_total"}
    assert dropped == {"skipped", "closed"}


def test_all_causes_of_refusals_are_shown_before_they_have_happened() -> None:
    read = rendered(Counters())
    refused = {labels[0] for name, labels in read if name == "relay_connections_refused_total"}
    assert {reason.cause for reason in Unavailable} | set(get_args(Cause)) <= refused
    fetched = {labels[0] for name, labels in read if name == "relay_issuer_fetches_total"}
    assert fetched == {failure.value for failure in Failure} | {"ok"}
    asked = {labels[0] for name, labels in read if name == "relay_auth_requests_total"}
    assert asked == {failure.value for failure in Failure} | {"allowed", "refused", "cached", "down", "busy"}
    called = {labels[0] for name, labels in read if name == "relay_rpc_calls_total"}
    others = {"answered", "error", "disconnect", "down", "busy", "left"}
    assert called == {failure.value for failure in Failure} | others


def test_an_issuer_is_shown_where_there_is_one() -> None:
    assert not [name for name, _ in rendered(Counters()) if name.startswith("relay_issuer_up")]
    read = rendered(Counters(issuer_up={"login.example": 0}, issuer_keys_at={"login.example": 1000.5}))
    assert read["relay_issuer_up", ("login.example",)] == 0
    assert read["relay_issuer_keys_timestamp_seconds", ("login.example",)] == 1000.5


def test_clients_can_not_make_series() -> None:
    """A client may close with any code from 3000 to 4999."""
    counters = Counters()
    counters.connections_closed.update({code: 1 for code in range(3000, 5000)})
    read = rendered(counters)
    codes = {labels[0]: value for (name, labels), value in read.items() if name == "relay_connections_closed_total"}
    assert (codes["3xxx"], codes["4xxx"]) == (1000, 1000)
    assert len(codes) < 10


def test_histograms_are_cumulative() -> None:
    counters = Counters()
    counters.publish_latency.observe(0.0004, 3)
    counters.publish_latency.observe(0.2)
    counters.publish_latency.observe(11)
    counters.gc_pauses[2].observe(0.02)
    read = rendered(counters)
    name = "relay_publish_latency_seconds"
    assert [read[f"{name}_bucket", (le,)] for le in ("0.0001", "0.0005", "0.1", "0.25", "10.0", "+Inf")] == [
        *(0, 3, 3, 4, 4, 5)
    ]
    assert read[f"{name}_count", ()] == 5
    assert round(read[f"{name}_sum", ()], 4) == 11.2012
    assert read["relay_gc_pause_seconds_bucket", ("2", "0.025")] == 1
    assert read["relay_gc_pause_seconds_count", ("0",)] == 0
