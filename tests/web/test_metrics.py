"""`GET /metrics`: what it shows of a gateway, and how often its page is rendered."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from relay.metrics.counters import Counters
from relay.metrics.snapshot import Gauges, Snapshot
from relay.web.metrics import PAGES_AT_ONCE, MetricsPages
from tests.conftest import EmbeddedFactory
from tests.harness.http_response import get
from tests.harness.prometheus import samples
from tests.harness.websocket_client import connected

BUILD = {"version": "1.2.3", "revision": "abc"}


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

    pages = MetricsPages(take, BUILD, lambda: clock[0])
    answers = [samples((await pages.page()).decode())["relay_connections_accepted_total", ()] for _ in range(100)]
    assert answers[:20] == list(range(1, 21)), "few get a page of their own"
    assert taken["pages"] == PAGES_AT_ONCE
    assert answers[-1] == 20
    clock[0] += 0.1
    await asyncio.gather(*(pages.page() for _ in range(50)))
    assert taken["pages"] == PAGES_AT_ONCE + 1


async def test_a_page_that_could_not_be_rendered_is_not_repeated() -> None:
    clock = [0.0]

    async def take() -> Snapshot:
        raise TimeoutError

    pages = MetricsPages(take, BUILD, lambda: clock[0])
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await pages.page()
