"""What a gateway counts. Plain integers: the hot path adds to them, a scrape reads them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from relay.metrics.additive import WORST, Additive
from relay.metrics.histogram import Histogram

GC_GENERATIONS = (0, 1, 2)


@dataclass(slots=True)
class Counters(Additive):
    """Totals since the gateway started, but for `..._open` and `bus_round_trip_seconds`, which are of now.

    Those of several processes can be added up.

    Args:
        connections_open: clients connected now, of whatever kind.
        event_streams_open: how many of them read server-sent events.
        polls_open: how many of them poll.
        connections_accepted: clients whose handshake was completed.
        connections_refused: clients that were not let in, of whatever kind, by reason.
        connections_closed: ended connections, by close code (1006: without a closing handshake); clients without
            WebSocket count by the code that a WebSocket would have been given, 1000 when they left.
        disconnects: connections that the relay closed, by reason (names of `relay.errors.Disconnect`, PROTOCOL_ERROR,
            MESSAGE_TOO_BIG, WRITE_TIMEOUT, UNEXPECTED_DATA).
        polls_evicted: idle polling clients that were dropped, so that others had a place.
        http_connections_evicted: idle HTTP connections that were dropped, so that others had a place; on all ports.
        accept_errors: times that accepting paused because file descriptors or memory ran out.
        handshakes: time from a whole request to its upgrade, the bus's acknowledgement included.
        messages_received: messages that clients sent.
        bytes_received: payload bytes of those.
        messages_published: messages that the bus acknowledged.
        publish_failures: messages that were not, or perhaps not, delivered to the bus, by reason.
        publish_latency: time from acceptance to acknowledgement; nothing with `memory://`, where it is none.
        messages_delivered: messages that came from the bus for a channel with local clients.
        fanned_out: messages handed to clients, those that were skipped then included.
        bytes_fanned_out: bytes of those, with their framing.
        deliveries_dropped: messages skipped for slow consumers.
        bytes_dropped: bytes of those, with their framing.
        chunks_fanned_out: chunks of messages handed to clients.
        chunks_joined: how many of these were written together with another one.
        bus_connects: links to the bus that were opened.
        bus_losses: links to the bus that broke.
        bus_errors: error replies and undecodable data on the bus.
        bus_round_trips: end-to-end probes of the bus.
        bus_round_trip_seconds: the last of them.
        gaps: times that messages of subscribed channels may have been missed.
        gap_channels: channels touched by those gaps, summed.
        event_loop_lag: how much later than due the event loop came to something.
        gc_pauses: time that the garbage collector stopped the process, by generation.
        worker_restarts: worker processes that were replaced; always 0 without workers.
        log_entries_dropped: log entries of the process that were not written, by reason.
        api_requests: commands of back ends, as `METHOD CODE` (0: done), and of `POST /publish`, as
            `http_publish STATUS`.
    """

    connections_open: int = 0
    event_streams_open: int = 0
    polls_open: int = 0
    connections_accepted: int = 0
    connections_refused: Counter[str] = field(default_factory=Counter)
    connections_closed: Counter[int] = field(default_factory=Counter)
    disconnects: Counter[str] = field(default_factory=Counter)
    polls_evicted: int = 0
    http_connections_evicted: int = 0
    accept_errors: int = 0
    handshakes: Histogram = field(default_factory=Histogram)
    messages_received: int = 0
    bytes_received: int = 0
    messages_published: int = 0
    publish_failures: Counter[str] = field(default_factory=Counter)
    publish_latency: Histogram = field(default_factory=Histogram)
    messages_delivered: int = 0
    fanned_out: int = 0
    bytes_fanned_out: int = 0
    deliveries_dropped: int = 0
    bytes_dropped: int = 0
    chunks_fanned_out: int = 0
    chunks_joined: int = 0
    bus_connects: int = 0
    bus_losses: int = 0
    bus_errors: int = 0
    bus_round_trips: Histogram = field(default_factory=Histogram)
    bus_round_trip_seconds: float = field(default=0.0, metadata=WORST)
    gaps: int = 0
    gap_channels: int = 0
    event_loop_lag: Histogram = field(default_factory=Histogram)
    gc_pauses: dict[int, Histogram] = field(
        default_factory=lambda: {generation: Histogram() for generation in GC_GENERATIONS}
    )
    worker_restarts: int = 0
    log_entries_dropped: Counter[str] = field(default_factory=Counter)
    api_requests: Counter[str] = field(default_factory=Counter)

    @property
    def deliveries(self) -> int:
        """Messages written to clients."""
        return self.fanned_out - self.deliveries_dropped

    @property
    def bytes_delivered(self) -> int:
        """Bytes of the messages written to clients, with their framing."""
        return self.bytes_fanned_out - self.bytes_dropped

    @property
    def writes(self) -> int:
        """Writes of messages to clients; `deliveries / writes` is the coalescing factor."""
        return self.chunks_fanned_out - self.chunks_joined

    def summary(self) -> dict[str, Any]:
        """Return what isn't zero, for a log, with reasons in the words of the metrics; histograms are left out."""
        values = {_SUMMARY.get(field.name, field.name): 0 for field in fields(self)}
        values = {name: getattr(self, name) for name in values}
        return {
            name: {_word(key): n for key, n in value.items()} if isinstance(value, Counter) else value
            for name, value in values.items()
            if value and isinstance(value, Counter | int | float)
        }


_SUMMARY = {
    "fanned_out": "deliveries",
    "bytes_fanned_out": "bytes_delivered",
    "bytes_dropped": "bytes_delivered",
    "chunks_fanned_out": "writes",
    "chunks_joined": "writes",
}
"""What stands in the summary in a field's place."""


def _word(key: str | int) -> str | int:
    """Return a reason as the metrics have it; a close code stays a number."""
    return key.lower() if isinstance(key, str) else key
