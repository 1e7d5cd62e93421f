"""What connections leave behind: nothing may be more than it was before them."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Mapping

from relay.gateway.parts import Parts

_CACHED = (
    "asyncio.events.Handle",
    "asyncio.events.TimerHandle",
    "relay.auth.rights.Patterns",
    "relay.auth.rights.Rule",
    "relay.logs.rate.EntryKind",
    "relay.logs.rate._Interval",
    "relay.protocols.centrifuge.uni_websocket.UniWebSocketEndpoint",
    "relay.protocols.centrifuge.wire.JoinLeave",
    "relay.protocols.centrifuge.wire.Wire",
    "yarl.URL",
)
"""What is kept in bounded numbers: the event loop keeps cancelled timers, too, until half of all are cancelled."""

_PACKAGES = ("relay.", "websockets.", "aiohttp.", "asyncio.", "_asyncio", "multidict.", "yarl")


def numbers(parts: Parts) -> dict[str, int]:
    """Return what a gateway says of its clients, and the tasks of the event loop."""
    context, front_door = parts.context, parts.front_door
    return {
        "clients": len(context.registry),
        "sockets": context.registry.sockets,
        "HTTP connections": len(front_door.http.connections),
        "polling clients": len(parts.polling_clients),
        "full transports": len(context.write_timeouts),
        "turns": len(context.turns),
        "unfinished messages": len(context.unfinished),
        "channels": context.node.channels,
        "claims of channels": context.node.interests,
        "paused publishers": context.node.paused_publishers,
        "connections_open": context.counters.connections_open,
        "event_streams_open": context.counters.event_streams_open,
        "polls_open": context.counters.polls_open,
        "transports_open": sum(context.counters.transports_open.values()),
        "emulated streams": len(context.emulated_streams),
        "tasks": len(asyncio.all_tasks()),
    }


def objects(packages: tuple[str, ...] = _PACKAGES) -> Counter[str]:
    """Return how many objects there are, by type.

    Args:
        packages: what their names begin with; else those of the relay and of its libraries.
    """
    found = Counter(map(type, gc.get_objects()))
    names = {kind: f"{kind.__module__}.{kind.__qualname__}" for kind in found}
    wanted = {name: kind for kind, name in names.items() if name.startswith(packages) and name not in _CACHED}
    return Counter({name: found[kind] for name, kind in wanted.items()})


def more(before: Mapping[str, int], now: Mapping[str, int]) -> str:
    """Return in words what there is more of than before; empty when nothing is."""
    grown = {name: (before.get(name, 0), count) for name, count in now.items() if count > before.get(name, 0)}
    return ", ".join(f"{name}: {count} instead of {first}" for name, (first, count) in sorted(grown.items()))
