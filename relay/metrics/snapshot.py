"""The numbers of a gateway at one moment. Another process can read them and add them up."""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.metrics.counters import LEAST, WORST, Additive, Counters


@dataclass(slots=True)
class Gauges(Additive):
    """Current values. They are not kept up to date as counters are, but looked up for each snapshot.

    Args:
        ready: 1 when clients should be sent here, else 0; all processes of a gateway must be ready.
        draining: 1 while the gateway drains, else 0.
        drain_connections: clients that the drain still has to close; 0 without a drain.
        max_connections: how many clients may be connected at once.
        handshakes_open: sockets whose first request is not answered yet, or was just refused.
        http_connections_open: sockets that speak HTTP, including those and idle ones.
        channels: channels that have clients here.
        slow_consumers: clients whose socket does not take more data at the moment.
        client_buffer_bytes: bytes that wait for clients.
        recovery_bytes: bytes of messages that are kept for clients that come back, and while histories are read.
        presence_members: clients here of which the bus knows that they are on a channel, summed over channels.
        presence_lingering: users whose last client here has gone, and who may come back; summed over channels.
        presence_waiting: channels of which the bus has to be told who is there, or that this gateway lives.
        presence_watchers: clients that are told who comes and who goes.
        blocked_users: users that are refused for a while; each process knows all of them.
        paused_publishers: clients that are not read because the bus cannot take more messages.
        bus_up: 1 when messages pass through the bus from end to end, else 0.
        bus_links: 1 for each link to the bus that is logged in and in use, else 0, by name.
        bus_subscriptions: channels that are subscribed to on the bus, including two of the relay's own.
        bus_buffer_bytes: bytes of messages that wait for the bus, or for its answer, by share of the publish buffer.
        bus_servers: processes on each server of the bus, by the server's run id; without servers that have none.
        fan_outs: processes that fan out in each way, by its name in RELAY_FANOUT.
        tls_certificate_expiry: name of the certificate for TLS → when it ends, in seconds since 1970; empty: no TLS.
        processes: how many processes were added up.
        silent_processes: how many of them do not answer; their last known numbers count.
        cpu_seconds: processor time, user and system.
        resident_bytes: memory that is in RAM.
        virtual_bytes: size of the address space.
        open_files: number of open file descriptors.
        max_files: how many file descriptors are allowed.
        started_at: when the first process started, in seconds since 1970.
    """

    ready: int = field(default=0, metadata=LEAST)
    draining: int = field(default=0, metadata=WORST)
    drain_connections: int = 0
    max_connections: int = 0
    handshakes_open: int = 0
    http_connections_open: int = 0
    channels: int = 0
    slow_consumers: int = 0
    client_buffer_bytes: int = 0
    recovery_bytes: int = 0
    presence_members: int = 0
    presence_lingering: int = 0
    presence_waiting: int = 0
    presence_watchers: int = 0
    blocked_users: int = field(default=0, metadata=WORST)
    paused_publishers: int = 0
    bus_up: int = field(default=0, metadata=LEAST)
    bus_links: dict[str, int] = field(default_factory=dict, metadata=LEAST)
    bus_subscriptions: int = 0
    bus_buffer_bytes: dict[str, int] = field(default_factory=dict)
    bus_servers: dict[str, int] = field(default_factory=dict)
    fan_outs: dict[str, int] = field(default_factory=dict)
    tls_certificate_expiry: dict[str, float] = field(default_factory=dict, metadata=LEAST)
    processes: int = 1
    silent_processes: int = 0
    cpu_seconds: float = 0.0
    resident_bytes: int = 0
    virtual_bytes: int = 0
    open_files: int = 0
    max_files: float = 0.0
    started_at: float = field(default=0.0, metadata=LEAST)


@dataclass(slots=True)
class Snapshot(Additive):
    """What `/metrics` shows. It can be pickled; `add` sums the snapshots of several processes.

        total = first
        total.add(second)

    Args:
        counters: a copy; the gateway keeps counting in its own.
        gauges: current values of the same moment.
    """

    counters: Counters = field(default_factory=Counters)
    gauges: Gauges = field(default_factory=Gauges)
