"""A snapshot of a gateway in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import NamedTuple

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from relay.metrics.counters import BOUNDS, Histogram
from relay.metrics.label_values import (
    AUTH_REQUESTS,
    CALLS,
    CODES,
    DISCONNECTS,
    DROPS,
    FAILURES,
    LIMITS,
    PRESENCE,
    READS,
    RECOVERIES,
    REFUSALS,
    RELOADS,
    REQUESTS,
    RPC_CALLS,
    SHARES,
    TLS,
    TRANSPORTS,
    UNWRITTEN,
)
from relay.metrics.snapshot import Snapshot

_APPLICATION_CODES = 3000
"""From here on clients choose among 2,000 close codes: they are counted by thousands, or clients could make series."""


class _Series(NamedTuple):
    """A field as a metric.

    Args:
        field: name of the field of `Counters` or `Gauges`.
        name: of the metric, without the suffix of its type.
        help: one sentence.
        label: name of the label that a mapping's keys become; two names when each key is two words.
        keys: label values that are shown before they were counted; see `relay.metrics.label_values`.
    """

    field: str
    name: str
    help: str
    label: str | None = None
    keys: tuple[str | int, ...] = ()


_TOTALS = (
    _Series("connections_accepted", "relay_connections_accepted", "Clients whose handshake was completed."),
    _Series("connections_refused", "relay_connections_refused", "Clients not let in.", "reason", REFUSALS),
    _Series("connections_closed", "relay_connections_closed", "Connections ended, by close code.", "code", CODES),
    _Series("disconnects", "relay_disconnects", "Connections that the relay closed.", "reason", DISCONNECTS),
    _Series("polls_evicted", "relay_polls_evicted", "Idle polling clients that were dropped for others."),
    _Series("http_connections_evicted", "relay_http_connections_evicted", "Idle HTTP connections dropped for others."),
    _Series("accept_errors", "relay_accept_errors", "How often accepting paused: descriptors or memory ran out."),
    _Series("tls_handshake_failures", "relay_tls_handshake_failures", "TLS handshakes that failed.", "reason", TLS),
    _Series("tls_certificate_reloads", "relay_tls_certificate_reloads", "Certificates read again.", "result", RELOADS),
    _Series("messages_received", "relay_messages_received", "Messages that clients sent."),
    _Series("bytes_received", "relay_received_bytes", "Payload bytes that clients sent."),
    _Series("messages_published", "relay_messages_published", "Messages that the bus acknowledged."),
    _Series("messages_repeated", "relay_messages_repeated", "Messages not published again: their keys were known."),
    _Series("messages_unpositioned", "relay_messages_unpositioned", "Messages that bypassed histories."),
    _Series(
        "publish_failures",
        "relay_publish_failures",
        "Messages that were not, or may not have been, published.",
        "reason",
        FAILURES,
    ),
    _Series("messages_delivered", "relay_messages_delivered", "Messages from the bus for channels with clients here."),
    _Series("deliveries", "relay_deliveries", "Messages written to clients."),
    _Series("bytes_delivered", "relay_delivered_bytes", "Bytes of messages written to clients, with their framing."),
    _Series(
        "deliveries_conflated", "relay_deliveries_conflated", "Messages that newer ones replaced for slow consumers."
    ),
    _Series(
        "deliveries_left_out",
        "relay_deliveries_left_out",
        "Messages left out for clients whose protocol can't carry them: payloads that are not JSON.",
    ),
    _Series("deliveries_dropped", "relay_deliveries_dropped", "Messages that clients were not given.", "reason", DROPS),
    _Series("writes", "relay_writes", "Writes to clients; deliveries by writes is the coalescing factor."),
    _Series("bus_connects", "relay_bus_connects", "Links to the bus that were opened."),
    _Series("bus_losses", "relay_bus_losses", "Links to the bus that broke."),
    _Series("bus_errors", "relay_bus_errors", "Error replies and undecodable data on the bus."),
    _Series("gaps", "relay_gaps", "How often messages of channels may have been missed."),
    _Series("gap_channels", "relay_gap_channels", "Channels affected by gaps, summed."),
    _Series("channels_missed", "relay_missed_channels", "Channels whose subscribers have missed messages, summed."),
    _Series("messages_filled", "relay_messages_filled", "Messages delivered from histories."),
    _Series("copies_dropped", "relay_copies_dropped", "Messages from the bus that had been delivered before."),
    _Series("history_reads", "relay_history_reads", "Readings of histories.", "result", READS),
    _Series("recoveries", "relay_recoveries", "Clients that came back with a position.", "result", RECOVERIES),
    _Series(
        "recovery_overflows",
        "relay_recovery_overflows",
        "Live messages for which there was no room while a history was read.",
    ),
    _Series("presence_calls", "relay_presence_calls", "Calls to the bus about presence.", "result", PRESENCE),
    _Series("presence_repairs", "relay_presence_repairs", "Channels whose presence the bus had lost."),
    _Series("presence_overflows", "relay_presence_overflows", "Users reported as gone without time to come back."),
    _Series("presence_events", "relay_presence_events", "Joins and leaves for clients here."),
    _Series("worker_restarts", "relay_worker_restarts", "Worker processes that were replaced."),
    _Series("worker_silences", "relay_worker_silences", "Times that a worker process did not answer for seconds."),
    _Series("log_entries_dropped", "relay_log_entries_dropped", "Log entries not written.", "reason", UNWRITTEN),
    _Series("auth_requests", "relay_auth_requests", "Decisions of the back end.", "outcome", AUTH_REQUESTS),
    _Series("rpc_calls", "relay_rpc_calls", "RPC calls of clients.", "outcome", RPC_CALLS),
    _Series(
        "issuer_fetches", "relay_issuer_fetches", "Fetches of issuers' keys, by outcome.", "outcome", ("ok", *CALLS)
    ),
    _Series(
        "api_requests", "relay_api_requests", "Commands of back ends, by method and code.", "method code", REQUESTS
    ),
    _Series("limits_reached", "relay_limits_reached", "How often a client reached a limit.", "limit", LIMITS),
)
"""Fields of `Counters` that only grow."""

_HISTOGRAMS = (
    _Series("handshakes", "relay_handshake_seconds", "Time from a complete request to its upgrade."),
    _Series(
        "tls_handshakes",
        "relay_tls_handshake_seconds",
        "Time from a complete ClientHello to the end of the TLS handshake.",
    ),
    _Series("auth_request_seconds", "relay_auth_request_seconds", "Time until the back end has decided, or failed."),
    _Series("rpc_call_seconds", "relay_rpc_call_seconds", "Time until the back end has answered a call, or failed."),
    _Series("publish_latency", "relay_publish_latency_seconds", "Time from accepting a message to the bus's answer."),
    _Series("bus_round_trips", "relay_bus_round_trip_seconds", "Probes of the bus from end to end."),
    _Series("event_loop_lag", "relay_event_loop_lag_seconds", "How late the event loop handles events."),
    _Series("gc_pauses", "relay_gc_pause_seconds", "Pauses for the garbage collector.", "generation"),
)
"""Histograms of `Counters`."""

_CURRENT = (
    _Series("connections_open", "relay_connections_open", "Clients connected now, of all kinds."),
    _Series("event_streams_open", "relay_event_streams_open", "Clients that read server-sent events now."),
    _Series("polls_open", "relay_polls_open", "Clients that poll now."),
    _Series("transports_open", "relay_transport_connections_open", "Clients connected now.", "transport", TRANSPORTS),
    _Series("issuer_up", "relay_issuer_up", "1 if the last fetch of an issuer's keys succeeded.", "issuer"),
    _Series(
        "issuer_keys_at",
        "relay_issuer_keys_timestamp_seconds",
        "When the keys in use were fetched; 0: never.",
        "issuer",
    ),
    _Series("bus_round_trip_seconds", "relay_bus_last_round_trip_seconds", "Last probe of the bus from end to end."),
)
"""Fields of `Counters` that are current values."""

_GAUGES = (
    _Series("ready", "relay_ready", "1 while new clients should be sent here."),
    _Series("draining", "relay_draining", "1 while the gateway drains."),
    _Series("drain_connections", "relay_drain_connections", "Clients that a drain still has to close."),
    _Series("max_connections", "relay_connections_limit", "The most clients at once."),
    _Series("handshakes_open", "relay_handshakes_open", "Sockets whose first request is not answered, or refused."),
    _Series(
        "http_connections_open",
        "relay_http_connections_open",
        "HTTP sockets, including those of relay_handshakes_open.",
    ),
    _Series("channels", "relay_channels", "Channels that have clients here."),
    _Series("slow_consumers", "relay_slow_consumers", "Clients whose socket takes no more data now."),
    _Series("client_buffer_bytes", "relay_client_buffer_bytes", "Bytes that wait for clients."),
    _Series("recovery_bytes", "relay_recovery_buffer_bytes", "Bytes of messages that are kept for recoveries."),
    _Series("presence_members", "relay_presence_members", "Clients here that presence shows, by channel, summed."),
    _Series("presence_lingering", "relay_presence_lingering", "Users without clients here who may come back."),
    _Series("presence_waiting", "relay_presence_waiting", "Channels whose presence the bus lacks."),
    _Series("presence_watchers", "relay_presence_watchers", "Clients that are told of joins and leaves."),
    _Series("blocked_users", "relay_blocked_users", "Blocked users."),
    _Series("paused_publishers", "relay_paused_publishers", "Clients not read because the bus can't take more."),
    _Series("bus_up", "relay_bus_up", "1 while messages get through the bus from end to end."),
    _Series("bus_links", "relay_bus_link_up", "1 while a link to the bus is in use.", "link"),
    _Series("bus_subscriptions", "relay_bus_subscriptions", "Subscriptions on the bus, two of gateways included."),
    _Series(
        "bus_buffer_bytes",
        "relay_bus_buffer_bytes",
        "Bytes of messages that wait for the bus or its answer.",
        "share",
        SHARES,
    ),
    _Series("bus_servers", "relay_bus_server_info", "Processes on a server of the bus, by its run id.", "run_id"),
    _Series("fan_outs", "relay_fanout_info", "Processes that write to many clients in this way.", "way"),
    _Series("tls_certificate_expiry", "relay_tls_certificate_expiry_timestamp_seconds", "When it expires.", "name"),
    _Series("processes", "relay_processes", "Processes that these numbers are the sum of."),
    _Series("silent_processes", "relay_silent_processes", "Processes that don't answer; their last numbers count."),
    _Series("resident_bytes", "process_resident_memory_bytes", "Resident memory."),
    _Series("virtual_bytes", "process_virtual_memory_bytes", "Address space."),
    _Series("open_files", "process_open_fds", "Open file descriptors."),
    _Series("max_files", "process_max_fds", "Allowed file descriptors."),
    _Series("started_at", "process_start_time_seconds", "When the process started, in seconds since 1970."),
)
"""Fields of `Gauges` that go up and down."""

_GAUGE_TOTALS = (_Series("cpu_seconds", "process_cpu_seconds", "Processor time, user and system."),)
"""Fields of `Gauges` that only grow."""


class SnapshotCollector(Collector):
    """Turns a snapshot into metrics. No label is a channel or a user: clients choose those.

    Args:
        snapshot: of a gateway, or the sum of the snapshots of its processes.
        build: labels of `relay_build_info`.
    """

    def __init__(self, snapshot: Snapshot, build: Mapping[str, str]) -> None:
        self._snapshot = snapshot
        self._build = build

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        counters, gauges = self._snapshot.counters, self._snapshot.gauges
        for series in _TOTALS:
            yield _total(series, getattr(counters, series.field))
        for series in _HISTOGRAMS:
            yield _histogram(series, getattr(counters, series.field))
        for series in _CURRENT:
            yield _gauge(series, getattr(counters, series.field))
        for series in _GAUGES:
            yield _gauge(series, getattr(gauges, series.field))
        for series in _GAUGE_TOTALS:
            yield _total(series, getattr(gauges, series.field))
        info = GaugeMetricFamily("relay_build_info", "What runs here; always 1.", labels=list(self._build))
        info.add_metric(list(self._build.values()), 1)
        yield info


def _total(series: _Series, value: float | Mapping[str | int, float]) -> Metric:
    total = CounterMetricFamily(series.name, series.help, labels=_labels(series))
    for key, count in _by_label(series, value).items():
        total.add_metric(key, count)
    return total


def _gauge(series: _Series, value: float | Mapping[str | int, float]) -> Metric:
    gauge = GaugeMetricFamily(series.name, series.help, labels=_labels(series))
    for key, count in _by_label(series, value).items():
        gauge.add_metric(key, count)
    return gauge


def _histogram(series: _Series, value: Histogram | Mapping[int, Histogram]) -> Metric:
    family = HistogramMetricFamily(series.name, series.help, labels=_labels(series))
    entries = {(): value} if isinstance(value, Histogram) else {(str(key),): entry for key, entry in value.items()}
    bounds = [*map(str, BOUNDS), "+Inf"]
    for key, histogram in entries.items():
        buckets = list(zip(bounds, accumulate(histogram.counts), strict=True))
        family.add_metric(key, buckets, histogram.seconds)
    return family


def _labels(series: _Series) -> list[str]:
    return [] if series.label is None else series.label.split()


def _by_label(series: _Series, value: float | Mapping[str | int, float]) -> dict[tuple[str, ...], float]:
    """Return label values → value."""
    if not isinstance(value, Mapping):
        return {(): value}
    values: dict[tuple[str, ...], float] = dict.fromkeys(map(_label_values, series.keys), 0)
    for key, count in value.items():
        words = _label_values(key)
        values[words] = values.get(words, 0) + count
    return values


def _label_values(key: str | int) -> tuple[str, ...]:
    """Return the label values of a key."""
    if isinstance(key, int) and key >= _APPLICATION_CODES:
        return (f"{key // 1000}xxx",)
    return tuple(str(key).lower().split())


def render_metrics(snapshot: Snapshot, build: Mapping[str, str]) -> bytes:
    """Return a snapshot in the text format of Prometheus.

    Args:
        snapshot: of a gateway, or the sum of the snapshots of its processes.
        build: labels of `relay_build_info`.
    """
    registry = CollectorRegistry()
    registry.register(SnapshotCollector(snapshot, build))
    return generate_latest(registry)
