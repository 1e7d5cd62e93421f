"""What a gateway counts. Plain integers: the hot path adds to them, a scrape reads them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Counters:
    """Totals since the gateway started, but for `..._open` and `bus_round_trip_seconds`, which are of now.

    Args:
        connections_open: clients connected now, of whatever kind.
        event_streams_open: how many of them read server-sent events.
        polls_open: how many of them poll.
        connections_accepted: clients whose handshake was completed.
        connections_refused: refused handshakes, by HTTP status.
        connections_closed: ended connections, by close code (1006: without a closing handshake); clients without
            WebSocket count by the code that a WebSocket would have been given, 1000 when they left.
        disconnects: connections that the relay closed, by reason (names of `relay.errors.Disconnect`, WRITE_TIMEOUT,
            UNEXPECTED_DATA).
        accept_errors: times that accepting paused because file descriptors or memory ran out.
        messages_received: messages that clients sent.
        bytes_received: payload bytes of those.
        messages_published: messages that the bus acknowledged.
        publish_failures: messages that were not, or perhaps not, delivered to the bus, by reason.
        publish_seconds: time from acceptance to acknowledgement, summed over `messages_published`.
        messages_delivered: messages that came from the bus for a channel with local clients.
        deliveries: messages written to clients.
        deliveries_dropped: messages skipped for slow consumers.
        writes: writes to clients; `deliveries / writes` is the coalescing factor.
        bus_connects: links to the bus that were opened.
        bus_losses: links to the bus that broke.
        bus_errors: error replies and undecodable data on the bus.
        gaps: times that messages of subscribed channels may have been missed.
        gap_channels: channels touched by those gaps, summed.
        bus_round_trip_seconds: last end-to-end probe.
        api_requests: commands of back ends, as `METHOD CODE` (0: done), and of `POST /publish`, as
            `http_publish STATUS`.
    """

    connections_open: int = 0
    event_streams_open: int = 0
    polls_open: int = 0
    connections_accepted: int = 0
    connections_refused: Counter[int] = field(default_factory=Counter)
    connections_closed: Counter[int] = field(default_factory=Counter)
    disconnects: Counter[str] = field(default_factory=Counter)
    accept_errors: int = 0
    messages_received: int = 0
    bytes_received: int = 0
    messages_published: int = 0
    publish_failures: Counter[str] = field(default_factory=Counter)
    publish_seconds: float = 0.0
    messages_delivered: int = 0
    deliveries: int = 0
    deliveries_dropped: int = 0
    writes: int = 0
    bus_connects: int = 0
    bus_losses: int = 0
    bus_errors: int = 0
    gaps: int = 0
    gap_channels: int = 0
    bus_round_trip_seconds: float = 0.0
    api_requests: Counter[str] = field(default_factory=Counter)
