"""The counters of a gateway in Prometheus' text format, collected when they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from relay.counters import Counters
from relay.web.keys import COUNTERS, PROBLEMS


class _Series(NamedTuple):
    """How a field of `Counters` is called outside. `label`: what the words of its keys mean, if it counts by key."""

    field: str
    name: str
    help: str
    label: str | None = None


_TOTALS = (
    _Series("connections_accepted", "relay_connections_accepted", "Clients whose handshake was completed."),
    _Series("connections_refused", "relay_connections_refused", "Handshakes refused.", "status"),
    _Series("connections_closed", "relay_connections_closed", "Connections ended, by close code.", "code"),
    _Series("disconnects", "relay_disconnects", "Connections that the relay closed.", "reason"),
    _Series("accept_errors", "relay_accept_errors", "Times that accepting paused for want of descriptors or memory."),
    _Series("messages_received", "relay_messages_received", "Messages that clients sent."),
    _Series("bytes_received", "relay_received_bytes", "Payload bytes that clients sent."),
    _Series("messages_published", "relay_messages_published", "Messages that the bus acknowledged."),
    _Series("publish_failures", "relay_publish_failures", "Messages not, or perhaps not, delivered.", "reason"),
    _Series("publish_seconds", "relay_publish_seconds", "Time from acceptance to acknowledgement, summed."),
    _Series("messages_delivered", "relay_messages_delivered", "Messages from the bus for channels with clients here."),
    _Series("deliveries", "relay_deliveries", "Messages written to clients."),
    _Series("deliveries_dropped", "relay_deliveries_dropped", "Messages skipped for slow consumers."),
    _Series("writes", "relay_writes", "Writes to clients; deliveries by writes is the coalescing factor."),
    _Series("bus_connects", "relay_bus_connects", "Links to the bus that were opened."),
    _Series("bus_losses", "relay_bus_losses", "Links to the bus that broke."),
    _Series("bus_errors", "relay_bus_errors", "Error replies and undecodable data on the bus."),
    _Series("gaps", "relay_gaps", "Times that messages of subscribed channels may have been missed."),
    _Series("gap_channels", "relay_gap_channels", "Channels touched by gaps, summed."),
    _Series("api_requests", "relay_api_requests", "Commands of back ends, by method and code.", "method code"),
)

_NOW = (
    _Series("connections_open", "relay_connections_open", "Clients connected now, of whatever kind."),
    _Series("event_streams_open", "relay_event_streams_open", "Clients that read server-sent events now."),
    _Series("polls_open", "relay_polls_open", "Clients that poll now."),
    _Series("bus_round_trip_seconds", "relay_bus_round_trip_seconds", "Last probe of the bus from end to end."),
)


class CountersCollector(Collector):
    """Makes metrics of a gateway's counters. Nothing is labelled with a channel or a user: strangers choose those.

    Args:
        counters: of the gateway.
        ready: tells whether clients should be sent to it.
    """

    def __init__(self, counters: Counters, ready: Callable[[], bool]) -> None:
        self._counters = counters
        self._ready = ready

    def collect(self) -> Iterator[Metric]:
        """Yield every metric as it is now."""
        for series in _TOTALS:
            value = getattr(self._counters, series.field)
            total = CounterMetricFamily(series.name, series.help, labels=series.label.split() if series.label else None)
            if series.label is None:
                total.add_metric([], value)
            else:
                for key, count in value.items():
                    total.add_metric(str(key).lower().split(), count)
            yield total
        for series in _NOW:
            yield GaugeMetricFamily(series.name, series.help, getattr(self._counters, series.field))
        yield GaugeMetricFamily("relay_ready", "1 while clients should be sent here.", float(self._ready()))


def render_metrics(counters: Counters, ready: Callable[[], bool]) -> bytes:
    """Return the metrics of a gateway as text."""
    registry = CollectorRegistry()
    registry.register(CountersCollector(counters, ready))
    return generate_latest(registry)


def add_routes(app: web.Application) -> None:
    """Serve `/metrics`."""
    app.router.add_get("/metrics", _metrics)


async def _metrics(request: web.Request) -> web.Response:
    """Tell what the gateway has counted."""
    body = render_metrics(request.app[COUNTERS], lambda: not request.app[PROBLEMS]())
    return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})
