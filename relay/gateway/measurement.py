"""Looking up how a gateway is now, when somebody asks."""

from __future__ import annotations

import asyncio
from copy import deepcopy

from prometheus_client import ProcessCollector

from relay.gateway.context import Context
from relay.snapshot import Gauges, Snapshot

CONNECTIONS_PER_TURN = 1000
"""How many connections are looked at before others have their turn: about a quarter of a millisecond."""

_process = ProcessCollector(registry=None)


async def take_snapshot(context: Context, problems: list[str], draining: bool) -> Snapshot:
    """Return what one process of a gateway has counted, and what is so now.

    Args:
        context: what its connections share.
        problems: what keeps it from serving clients.
        draining: whether it sends its clients away.
    """
    waiting = await _client_buffer_bytes(context)
    node, bus = context.node, context.node.bus
    process = {sample.name: sample.value for family in _process.collect() for sample in family.samples}
    gauges = Gauges(
        ready=int(not problems),
        draining=int(draining),
        drain_connections=len(context.connections) if draining else 0,
        max_connections=context.max_connections,
        handshakes_open=len(context.handshakes),
        channels=len(node.hub),
        slow_consumers=len(context.stalls),
        client_buffer_bytes=waiting,
        paused_publishers=node.paused_publishers,
        bus_up=int(not node.problems),
        bus_links={name: int(up) for name, up in bus.links.items()},
        bus_subscriptions=bus.subscriptions,
        bus_buffer_bytes=bus.buffered,
        cpu_seconds=process.get("process_cpu_seconds_total", 0.0),
        resident_bytes=process.get("process_resident_memory_bytes", 0.0),
        virtual_bytes=process.get("process_virtual_memory_bytes", 0.0),
        open_files=process.get("process_open_fds", 0.0),
        max_files=process.get("process_max_fds", 0.0),
        started_at=process.get("process_start_time_seconds", 0.0),
    )
    return Snapshot(deepcopy(context.counters), gauges)


async def _client_buffer_bytes(context: Context) -> int:
    """Return how many bytes wait for clients, without holding up everybody for a scrape."""
    connections = list(context.connections)
    waiting = 0
    for start in range(0, len(connections), CONNECTIONS_PER_TURN):
        waiting += sum(connection.buffered for connection in connections[start : start + CONNECTIONS_PER_TURN])
        await asyncio.sleep(0)
    return waiting
