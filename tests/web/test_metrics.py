"""The counters as Prometheus reads them."""

from __future__ import annotations

import dataclasses

from prometheus_client.parser import text_string_to_metric_families

from relay.counters import Counters
from relay.web.metrics import _NOW, _TOTALS, render_metrics
from tests.conftest import EmbeddedFactory
from tests.harness.http_response import get
from tests.harness.websocket_client import connected


def samples(text: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Return the samples of a page by name and label values."""
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_every_counter_is_shown() -> None:
    assert {series.field for series in _TOTALS + _NOW} == {field.name for field in dataclasses.fields(Counters)}


def test_totals_are_labelled_by_what_they_count() -> None:
    counters = Counters(gaps=2, connections_open=3)
    counters.connections_refused[503] = 4
    counters.disconnects["SLOW_CONSUMER"] = 5
    read = samples(render_metrics(counters, lambda: False).decode())
    assert read["relay_gaps_total", ()] == 2
    assert read["relay_connections_open", ()] == 3
    assert read["relay_connections_refused_total", ("503",)] == 4
    assert read["relay_disconnects_total", ("slow_consumer",)] == 5
    assert read["relay_ready", ()] == 0


async def test_a_gateway_shows_what_happens(embedded: EmbeddedFactory) -> None:
    (gateway,) = await embedded(1)
    url = f"{gateway.url}/ws/a"
    async with connected(url, url) as (a, b):
        await a.send("x")
        await b.receive(1)
        page = await get(gateway.port, "/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    read = samples(page.text)
    assert read["relay_deliveries_total", ()] == 1
    assert read["relay_connections_open", ()] == 2
    assert read["relay_ready", ()] == 1
