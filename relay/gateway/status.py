"""The status of a gateway: what it has counted, and current values, looked up when an operator asks."""

from __future__ import annotations

import asyncio
from collections import Counter
from copy import deepcopy
from dataclasses import replace
from typing import Protocol

from relay.clients.registry import Registry
from relay.gateway.parts import Parts
from relay.logs import dropped_entries
from relay.metrics.counters import Counters
from relay.metrics.process import Process
from relay.metrics.snapshot import Gauges, Snapshot
from relay.web.app_keys import Readiness

CLIENTS_PER_TURN = 1000
"""How many clients are looked at before others have their turn: about a quarter of a millisecond."""


class Workers(Protocol):
    """Speaks for all processes that share the port of a gateway, the one that asks included."""

    async def readiness(self) -> Readiness:
        """Return whether all of them are ready.

        Raises:
            TimeoutError: the supervisor doesn't answer.
        """

    async def snapshot(self) -> Snapshot:
        """Return the sum of their numbers.

        Raises:
            TimeoutError: the supervisor doesn't answer.
        """


async def take_snapshot(parts: Parts, process: Process, problems: list[str], draining: bool) -> Snapshot:
    """Return what one process of a gateway has counted, and current values.

    Args:
        parts: of the gateway.
        process: that it runs in.
        problems: what keeps it from serving clients.
        draining: whether it sends its clients away.
    """
    context, front_door, http = parts.context, parts.front_door, parts.front_door.http
    waiting = await _client_buffer_bytes(context.registry)
    node, bus = context.node, context.node.bus
    gauges = replace(
        _measure(process, front_door.sockets),
        ready=int(not problems),
        draining=int(draining),
        drain_connections=context.counters.connections_open if draining else 0,
        max_connections=context.registry.places,
        handshakes_open=http.connections.handshakes,
        http_connections_open=len(http.connections),
        channels=node.channels,
        slow_consumers=len(context.write_timeouts),
        client_buffer_bytes=waiting,
        recovery_bytes=node.recoveries.buffered,
        presence_members=node.presences.members,
        presence_lingering=node.presences.lingering,
        presence_waiting=node.presences.waiting,
        presence_watchers=len(context.presence_watchers),
        blocked_users=len(front_door.admission.authentication.blocked_users),
        paused_publishers=node.paused_publishers,
        bus_up=int(not node.problems),
        bus_links={name: int(up) for name, up in bus.links.items()},
        bus_subscriptions=bus.subscriptions,
        bus_buffer_bytes={share.value: size for share, size in bus.buffered.items()},
        tls_certificate_expiry={} if front_door.tls is None else front_door.tls.certificate.expiry,
        fan_outs={parts.fan_out.way: 1},
        bus_servers={} if bus.server is None else {bus.server: 1},
    )
    # What clients of several channels have gathered counts as fanned out, and may still be dropped: a total would fall.
    node.hub.flush()
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


async def _client_buffer_bytes(registry: Registry) -> int:
    """Return how many bytes wait for clients, without holding up all clients for a scrape."""
    clients = list(registry)
    waiting = 0
    for start in range(0, len(clients), CLIENTS_PER_TURN):
        waiting += sum(client.buffered for client in clients[start : start + CLIENTS_PER_TURN])
        await asyncio.sleep(0)
    return waiting
