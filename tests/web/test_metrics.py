"""The counters as Prometheus reads them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter

import pytest

from relay.errors import Disconnect
from relay.metrics.counters import Counters
from relay.metrics.snapshot import Gauges, Snapshot
from relay.web.metrics import _MEASURED, _MEASURED_TOTALS, _NOW, _TIMES, _TOTALS, PAGES_AT_ONCE, Pages, render_metrics
from tests.conftest import EmbeddedFactory
from tests.harness.http_response import get
from tests.harness.prometheus import samples
from tests.harness.websocket_client import connected

BUILD = {"version": "1.2.3", "revision": "abc"}


def rendered(counters: Counters, gauges: Gauges | None = None) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the samples that counters and gauges become."""
    return samples(render_metrics(Snapshot(counters, gauges or Gauges()), BUILD).decode())


def test_every_counter_and_gauge_is_shown() -> None:
    shown = {series.field for series in _TOTALS + _TIMES + _NOW}
    computed = {"deliveries", "bytes_delivered", "writes"}
    parts = {"fanned_out", "bytes_fanned_out", "bytes_dropped", "chunks_fanned_out", "chunks_joined"}
    fields = {field.name for field in dataclasses.fields(Counters)}
    assert shown == (fields - parts) | computed
    shown = {series.field for series in _MEASURED + _MEASURED_TOTALS}
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


def test_strangers_can_not_make_series() -> None:
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


async def test_a_gateway_shows_what_happens(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1, revision="f00")
    url = f"{gateway.url}/ws/a"
    async with connected(url, url) as (a, b):
        await a.send("x")
        await b.receive(1)
        page = await get(gateway.port, "/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    read = samples(page.text)
    assert read["relay_deliveries_total", ()] == 1
    assert read["relay_delivered_bytes_total", ()] == 3  # two bytes of frame header
    assert read["relay_connections_open", ()] == 2
    assert read["relay_handshake_seconds_count", ()] == 2
    assert read["relay_channels", ()] == 1
    assert read["relay_bus_subscriptions", ()] == 1 + 2  # and the control channels
    assert read["relay_ready", ()] == read["relay_bus_up", ()] == 1
    assert read["process_resident_memory_bytes", ()] > 1_000_000
    assert any(name == "relay_build_info" and "f00" in labels for name, labels in read)


async def test_many_scrapes_share_a_page() -> None:
    """A page costs 4 ms, which is a lot for a request that any client of the port can send."""
    taken, clock = Counter[str](), [0.0]

    async def take() -> Snapshot:
        taken["pages"] += 1
        return Snapshot(Counters(connections_accepted=taken["pages"]), Gauges())

    pages = Pages(take, BUILD, lambda: clock[0])
    answers = [samples((await pages.page()).decode())["relay_connections_accepted_total", ()] for _ in range(100)]
    assert answers[:20] == list(range(1, 21)), "few get a page of their own"
    assert taken["pages"] == PAGES_AT_ONCE
    assert answers[-1] == 20
    clock[0] += 0.1
    await asyncio.gather(*(pages.page() for _ in range(50)))
    assert taken["pages"] == PAGES_AT_ONCE + 1


async def test_a_page_that_nobody_could_make_is_not_shown_again() -> None:
    clock = [0.0]

    async def take() -> Snapshot:
        raise TimeoutError

    pages = Pages(take, BUILD, lambda: clock[0])
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await pages.page()
