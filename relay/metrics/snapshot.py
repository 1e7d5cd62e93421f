"""A gateway at one moment, as plain numbers that another process can read and add up."""

from __future__ import annotations

from dataclasses import dataclass, field

from relay.metrics.additive import LEAST, WORST, Additive
from relay.metrics.counters import Counters


@dataclass(slots=True)
class Gauges(Additive):
    """What is so now. Unlike counters, nobody keeps these up to date: they are looked up when somebody asks.

    Args:
        ready: 1 when clients should be sent here, else 0; of several processes all must be ready.
        draining: 1 while clients are sent away, else 0.
        drain_connections: clients that a drain still has to close; 0 when there is none.
        max_connections: clients that are served at once.
        handshakes_open: sockets whose first request is not answered yet, or just refused.
        http_connections_open: sockets that speak HTTP, those and kept ones included.
        channels: channels that have clients here.
        slow_consumers: clients whose socket takes no more now.
        client_buffer_bytes: bytes that wait for clients.
        paused_publishers: clients that aren't read because the bus can't take more.
        bus_up: 1 when messages get through the bus from end to end, else 0.
        bus_links: 1 for each link to the bus that is logged in and in use, else 0, by name.
        bus_subscriptions: channels that the bus was asked for, two own ones included.
        bus_buffer_bytes: bytes of messages that wait for the bus, or for its answer, by the share that they count for.
        bus_servers: processes on each server of the bus that tells its run id, by that.
        processes: how many processes were added up.
        silent_processes: how many of them don't answer, so that their last known numbers count.
        cpu_seconds: processor time, user and system.
        resident_bytes: memory that is in RAM.
        virtual_bytes: address space.
        open_files: file descriptors.
        max_files: file descriptors that are allowed.
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
    paused_publishers: int = 0
    bus_up: int = field(default=0, metadata=LEAST)
    bus_links: dict[str, int] = field(default_factory=dict, metadata=LEAST)
    bus_subscriptions: int = 0
    bus_buffer_bytes: dict[str, int] = field(default_factory=dict)
    bus_servers: dict[str, int] = field(default_factory=dict)
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
    """What `/metrics` shows. Can be pickled; `add` makes one of those of several processes.

        whole = first
        whole.add(second)

    Args:
        counters: a copy; those of the gateway go on.
        gauges: of the same moment.
    """

    counters: Counters = field(default_factory=Counters)
    gauges: Gauges = field(default_factory=Gauges)
