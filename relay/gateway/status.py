"""Looking up how a gateway is now, when somebody asks."""

from __future__ import annotations

import asyncio
from collections import Counter
from copy import deepcopy
from dataclasses import replace

from relay.clients.context import Context
from relay.logs import dropped_entries
from relay.metrics.counters import Counters
from relay.metrics.process import Process
from relay.metrics.snapshot import Gauges, Snapshot

CONNECTIONS_PER_TURN = 1000
"""How many connections are looked at before others have their turn: about a quarter of a millisecond."""


async def take_snapshot(context: Context, process: Process, problems: list[str], draining: bool) -> Snapshot:
    """Return what one process of a gateway has counted, and what is so now.

    Args:
        context: what its connections share.
        process: that it runs in.
        problems: what keeps it from serving clients.
        draining: whether it sends its clients away.
    """
    waiting = await _client_buffer_bytes(context)
    node, bus = context.node, context.node.bus
    gauges = replace(
        _measure(process, context.sockets),
        ready=int(not problems),
        draining=int(draining),
        drain_connections=context.counters.connections_open if draining else 0,
        max_connections=context.max_connections,
        handshakes_open=context.http.connections.handshakes,
        http_connections_open=len(context.http.connections),
        channels=node.channels,
        slow_consumers=len(context.stalls),
        client_buffer_bytes=waiting,
        paused_publishers=node.paused_publishers,
        bus_up=int(not node.problems),
        bus_links={name: int(up) for name, up in bus.links.items()},
        bus_subscriptions=bus.subscriptions,
        bus_buffer_bytes={share.value: size for share, size in bus.buffered.items()},
        bus_servers={} if bus.server is None else {bus.server: 1},
    )
    return Snapshot(_copy(context.counters), gauges)


def snapshot_without_clients(counters: Counters, process: Process, draining: bool) -> Snapshot:
    """Return what there is to say of a gateway that has not started yet, or has stopped; see `take_snapshot`."""
    return Snapshot(_copy(counters), replace(_measure(process, 0), draining=int(draining)))


def _copy(counters: Counters) -> Counters:
    """Return the counters of a gateway, with what its process counts for all of its parts."""
    return replace(deepcopy(counters), log_entries_dropped=Counter(dropped_entries()))


def _measure(process: Process, sockets: int) -> Gauges:
    """Return what is so now of a process with so many sockets of clients."""
    virtual, resident = process.memory_bytes
    return Gauges(
        cpu_seconds=process.cpu_seconds,
        resident_bytes=resident,
        virtual_bytes=virtual,
        open_files=process.open_files(sockets),
        max_files=process.max_files,
        started_at=process.started_at,
    )


async def _client_buffer_bytes(context: Context) -> int:
    """Return how many bytes wait for clients, without holding up everybody for a scrape."""
    connections = context.clients
    waiting = 0
    for start in range(0, len(connections), CONNECTIONS_PER_TURN):
        waiting += sum(connection.buffered for connection in connections[start : start + CONNECTIONS_PER_TURN])
        await asyncio.sleep(0)
    return waiting
