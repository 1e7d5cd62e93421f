"""Counters and histograms of one process, and their sum over several processes.

Plain numbers: the hot path adds to them, and a scrape reads them.
"""

from __future__ import annotations

import operator
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

BOUNDS: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of buckets in seconds: from a Redis on the same machine to an outage that was waited out."""

GC_GENERATIONS: Final = (0, 1, 2)

WORST: Final[Mapping[str, Any]] = {"add": max}
"""Metadata of a field whose sum is the largest value: a lag, or a flag that one process sets for all."""

LEAST: Final[Mapping[str, Any]] = {"add": min}
"""Metadata of a field whose sum is the smallest value: a flag that needs all processes, or a start time."""


class Additive:
    """Base of dataclasses that can be added up over processes.

    Their fields are numbers, `Additive`s, or dicts of these by key. `add` sums them field by field, unless a field's
    metadata is `WORST` or `LEAST`.
    """

    __slots__ = ()

    def add(self, other: Self) -> None:
        """Add the numbers of another process to these; `other` is not changed."""
        for entry in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            rule = entry.metadata.get("add", operator.add)
            setattr(self, entry.name, _sum(getattr(self, entry.name), getattr(other, entry.name), rule))


def _sum(mine: Any, theirs: Any, rule: Callable[[Any, Any], Any]) -> Any:
    """Return the sum of two values; a mutable left value is changed in place."""
    if isinstance(mine, Additive):
        mine.add(theirs)
        return mine
    if isinstance(mine, dict):
        for key, value in theirs.items():
            mine[key] = _sum(mine[key], value, rule) if key in mine else deepcopy(value)
        return mine
    return rule(mine, theirs)


@dataclass(slots=True)
class Histogram(Additive):
    """A histogram of durations.

    Args:
        counts: number of durations in each bucket, upper bound included; the last bucket has those above all bounds.
            Not cumulative.
        seconds: sum of all durations, in seconds.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0

    @property
    def count(self) -> int:
        """Number of observed durations."""
        return sum(self.counts)

    def observe(self, seconds: float, times: int = 1) -> None:
        """Count a duration. It costs about a third of a microsecond: call it once for a batch, not for each message.

        Args:
            seconds: the duration.
            times: how often it is counted.
        """
        self.counts[bisect_left(BOUNDS, seconds)] += times
        self.seconds += seconds * times

    def add(self, other: Self) -> None:
        """Add the durations of another process."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.seconds += other.seconds


@dataclass(slots=True)
class Counters(Additive):
    """Totals since the gateway started. The fields `..._open`, `bus_round_trip_seconds` and `issuer_...`
    but `issuer_fetches` are current values.

    Args:
        connections_open: clients that are connected, of all kinds.
        event_streams_open: how many of them read server-sent events.
        polls_open: how many of them poll.
        transports_open: the same, by how they are connected.
        connections_accepted: clients whose handshake was completed.
        connections_refused: clients of all kinds that were refused, by reason.
        connections_closed: ended connections, by close code (1006: without a closing handshake). A client without a
            WebSocket counts by the code that a WebSocket would have got, 1000 when the client left.
        disconnects: connections that the relay closed, by reason (names of `relay.errors.Disconnect`, PROTOCOL_ERROR,
            MESSAGE_TOO_BIG, WRITE_TIMEOUT, UNEXPECTED_DATA).
        polls_evicted: idle polling clients that were dropped to make room for other clients.
        http_connections_evicted: idle HTTP connections that were dropped to make room for others; on all ports.
        accept_errors: how often accepting paused because file descriptors or memory ran out.
        handshakes: time from a complete request to its upgrade, including the bus's acknowledgement.
        tls_handshakes: time from a complete `ClientHello` to the end of the TLS handshake.
        tls_handshake_failures: TLS handshakes that failed, by kind (values of `relay.tls.failure.Failure`).
        tls_certificate_reloads: how often the certificate for TLS was read again, by result.
        messages_received: messages that clients sent.
        bytes_received: payload bytes of those.
        messages_published: messages that the bus acknowledged.
        messages_repeated: messages that were not published again, because their idempotency keys were known.
        messages_unpositioned: messages that came from the bus past the histories of their channels.
        publish_failures: messages that were not, or perhaps not, delivered to the bus, by reason.
        publish_latency: time from accepting a message to the bus's acknowledgement; empty with `memory://`.
        messages_delivered: messages that came from the bus for a channel with local clients.
        fanned_out: messages handed to clients, including those that were then skipped.
        bytes_fanned_out: bytes of those, with their framing.
        deliveries_left_out: messages that the protocol of clients can't carry.
        deliveries_dropped: messages that clients were not given, by reason; see `count_dropped`.
        deliveries_conflated: messages that a slow consumer did not get because a newer one took their place.
        bytes_dropped: bytes of both, with their framing.
        chunks_fanned_out: chunks of messages handed to clients.
        chunks_joined: how many of these were written together with another one.
        bus_connects: links to the bus that were opened.
        bus_losses: links to the bus that broke.
        bus_errors: error replies and undecodable data on the bus.
        bus_round_trips: end-to-end probes of the bus.
        bus_round_trip_seconds: the last of them.
        gaps: how often messages of subscribed channels may have been missed.
        gap_channels: number of channels in those gaps, summed.
        channels_missed: how often subscribers of a channel with positions were told that they have missed messages.
        messages_filled: messages that the bus has not brought, and that were delivered from a channel's history.
        copies_dropped: messages that came from the bus after they had been delivered from a channel's history.
        history_reads: how often the history of a channel was read, by result.
        recoveries: clients that came back with a position, by whether they got all that they had missed.
        recovery_overflows: how often there was no room to keep a live message while a history was read.
        presence_calls: calls of the bus about who is on channels, by result.
        presence_repairs: how often the bus had lost who of this gateway is on a channel, or could not be told for too
            long, and was told anew.
        presence_overflows: users who were told to have gone at once, as too many others had gone within seconds.
        presence_events: users that came and went on channels where clients here watch that.
        event_loop_lag: by how much the event loop was late for a timer.
        gc_pauses: times for which the garbage collector stopped the process, by generation.
        worker_restarts: worker processes that were replaced; always 0 without workers.
        worker_silences: how often a worker process owed an answer for seconds; always 0 without workers.
        log_entries_dropped: log entries of the process that were not written, by reason.
        auth_requests: requests to the back end that decides about clients, by outcome; also those that were not sent.
        auth_request_seconds: time from sending such a request to its answer or its failure.
        rpc_calls: calls of clients for the back end that answers them, by outcome; also those that were not sent.
        rpc_call_seconds: time from sending such a call to its answer or its failure.
        issuer_fetches: fetches of the keys of tokens' issuers, by outcome.
        issuer_up: 1 while the last fetch has succeeded, else 0, by host.
        issuer_keys_at: when the keys in use were fetched, in seconds since 1970, by host; 0: there are none yet.
        api_requests: commands of the server API, as `METHOD CODE` (0: success), and requests to `POST /publish`, as
            `http_publish STATUS`.
        limits_reached: how often clients have reached a limit, by its label; see `relay.limits.limit`.
    """

    connections_open: int = 0
    event_streams_open: int = 0
    polls_open: int = 0
    transports_open: Counter[str] = field(default_factory=Counter)
    connections_accepted: int = 0
    connections_refused: Counter[str] = field(default_factory=Counter)
    connections_closed: Counter[int] = field(default_factory=Counter)
    disconnects: Counter[str] = field(default_factory=Counter)
    polls_evicted: int = 0
    http_connections_evicted: int = 0
    accept_errors: int = 0
    handshakes: Histogram = field(default_factory=Histogram)
    tls_handshakes: Histogram = field(default_factory=Histogram)
    tls_handshake_failures: Counter[str] = field(default_factory=Counter)
    tls_certificate_reloads: Counter[str] = field(default_factory=Counter)
    messages_received: int = 0
    bytes_received: int = 0
    messages_published: int = 0
    messages_repeated: int = 0
    messages_unpositioned: int = 0
    publish_failures: Counter[str] = field(default_factory=Counter)
    publish_latency: Histogram = field(default_factory=Histogram)
    messages_delivered: int = 0
    fanned_out: int = 0
    bytes_fanned_out: int = 0
    deliveries_left_out: int = 0
    deliveries_dropped: Counter[str] = field(default_factory=Counter)
    deliveries_conflated: int = 0
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
    channels_missed: int = 0
    messages_filled: int = 0
    copies_dropped: int = 0
    history_reads: Counter[str] = field(default_factory=Counter)
    recoveries: Counter[str] = field(default_factory=Counter)
    recovery_overflows: int = 0
    presence_calls: Counter[str] = field(default_factory=Counter)
    presence_repairs: int = 0
    presence_overflows: int = 0
    presence_events: int = 0
    event_loop_lag: Histogram = field(default_factory=Histogram)
    gc_pauses: dict[int, Histogram] = field(
        default_factory=lambda: {generation: Histogram() for generation in GC_GENERATIONS}
    )
    worker_restarts: int = 0
    worker_silences: int = 0
    log_entries_dropped: Counter[str] = field(default_factory=Counter)
    auth_requests: Counter[str] = field(default_factory=Counter)
    auth_request_seconds: Histogram = field(default_factory=Histogram)
    rpc_calls: Counter[str] = field(default_factory=Counter)
    rpc_call_seconds: Histogram = field(default_factory=Histogram)
    issuer_fetches: Counter[str] = field(default_factory=Counter)
    issuer_up: dict[str, int] = field(default_factory=dict, metadata=LEAST)
    issuer_keys_at: dict[str, float] = field(default_factory=dict, metadata=LEAST)
    api_requests: Counter[str] = field(default_factory=Counter)
    limits_reached: Counter[str] = field(default_factory=Counter)

    @property
    def deliveries(self) -> int:
        """Messages written to clients."""
        return self.fanned_out - self.deliveries_dropped.total() - self.deliveries_conflated

    @property
    def bytes_delivered(self) -> int:
        """Bytes of the messages written to clients, with their framing."""
        return self.bytes_fanned_out - self.bytes_dropped

    @property
    def writes(self) -> int:
        """Writes of messages to clients; `deliveries / writes` is the coalescing factor."""
        return self.chunks_fanned_out - self.chunks_joined

    def count_dropped(self, reason: str, messages: int, message_bytes: int) -> None:
        """Count messages that a client is not given.

        Args:
            reason: `skipped`, of a slow client that stays, or `closed`, of one that ends.
            messages: how many; with 0 nothing is counted.
            message_bytes: of those, with their framing.
        """
        if messages:
            self.deliveries_dropped[reason] += messages
            self.bytes_dropped += message_bytes

    def summary(self) -> dict[str, Any]:
        """Return the fields that are not zero, for a log, with the reasons as the metrics spell them; no histograms."""
        names = [_SUMMARY.get(entry.name, entry.name) for entry in fields(self)]
        values = {name: getattr(self, name) for name in names}
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
"""Field → the property that replaces it in the summary."""


def _word(key: str | int) -> str | int:
    """Return a reason as the metrics spell it; a close code stays a number."""
    return key.lower() if isinstance(key, str) else key
