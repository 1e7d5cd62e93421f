"""What a deployment needs, from measured costs: `python -m bench.capacity` prints the table of docs/capacity.md."""

from __future__ import annotations

import math
from dataclasses import dataclass

BUSY = 0.5
"""Share of a core that is planned for: the rest is for peaks, and for clients that come back all at once."""

CONNECTIONS_PER_GATEWAY = 20_000
"""Planned for one process. More would fit; but all of them come back when it is gone."""

STAY_SECONDS = 1800
"""How long a client stays connected on average; each time costs a handshake."""

REDIS_BUSY = 0.7
"""Share of its one core above which Redis' queues grow."""

COPY_BYTES = 210
"""What Redis sends a gateway for a message of 128 bytes: envelope, channel and the protocol's own included."""


@dataclass(frozen=True)
class Costs:
    """What was measured. Times are of one core, in µs.

    Args:
        delivery: a message written to a client, one message per write, the kernel's share included.
        arrival: a message that a gateway gets from Redis, whoever it goes to.
        publish: a message that a client sends, until Redis has acknowledged it.
        idle: a connection's pings and pongs, per second.
        handshake: a connection, once.
        connection_bytes: memory of a connection, in the gateway and in the kernel.
        channel_bytes: memory of a channel in each gateway that listens to it.
        redis_message: a message in Redis, whoever listens.
        redis_copy: and for each gateway that listens.
        redis_channel_bytes: memory of Redis for a channel.
        redis_listener_bytes: and for each gateway that listens.
    """

    delivery: float
    arrival: float
    publish: float
    idle: float
    handshake: float
    connection_bytes: float
    channel_bytes: float
    redis_message: float
    redis_copy: float
    redis_channel_bytes: float
    redis_listener_bytes: float


MEASURED = Costs(
    delivery=8.5,
    arrival=65.0,
    publish=30.0,
    idle=1.9,
    handshake=220.0,
    connection_bytes=8_000,
    channel_bytes=2_000,
    redis_message=3.0,
    redis_copy=0.7,
    redis_channel_bytes=91,
    redis_listener_bytes=128,
)


@dataclass(frozen=True)
class Load:
    """What clients do.

    Args:
        name: for people.
        clients: connected at once, each to one channel.
        per_channel: clients of a channel.
        rate: messages/s on each channel.
    """

    name: str
    clients: int
    per_channel: int
    rate: float

    @property
    def channels(self) -> float:
        """Number of channels."""
        return self.clients / self.per_channel

    @property
    def published(self) -> float:
        """Messages/s of all channels."""
        return self.channels * self.rate

    @property
    def delivered(self) -> float:
        """Deliveries/s of all clients."""
        return self.clients * self.rate


LOADS = (
    Load("dashboard: all clients see the same", 10_000, 10_000, 10),
    Load("chat: rooms of 50, a message every 2 s", 100_000, 50, 0.5),
    Load("game: matches of 10, 20 messages/s each", 100_000, 10, 20),
    Load("notifications: a channel for each user", 1_000_000, 1, 0.01),
    Load("live event: one channel", 1_000_000, 1_000_000, 2),
    Load("chat: rooms of 50, a message every 2 s", 10_000_000, 50, 0.5),
    Load("live event: one channel", 10_000_000, 10_000_000, 2),
)


@dataclass(frozen=True)
class Needs:
    """What a load takes.

    Args:
        gateways: processes, one core each.
        memory_bytes: of all connections and channels, in all gateways and their kernels.
        listening: gateways that hear a channel, on average.
        redis_cores: CPU of Redis.
        redis_bytes: memory of Redis for the subscriptions.
        redis_traffic: bytes/s that Redis sends.
    """

    gateways: int
    memory_bytes: float
    listening: float
    redis_cores: float
    redis_bytes: float
    redis_traffic: float

    @property
    def redises(self) -> int:
        """How many Redis servers share the channels among them."""
        return math.ceil(self.redis_cores / REDIS_BUSY)


def needs(load: Load, costs: Costs, *, routed: bool = False) -> Needs:
    """Return what a load takes.

    Args:
        load: what clients do.
        costs: what was measured.
        routed: whether the balancer sends all clients of a channel to the same gateway, as far as they fit there.
    """
    own = load.delivered * costs.delivery + load.published * costs.publish
    own += load.clients * (costs.idle + costs.handshake / STAY_SECONDS)
    gateways = math.ceil(load.clients / CONNECTIONS_PER_GATEWAY)
    while True:
        listening = _listening(load, gateways, routed)
        wanted = math.ceil((own + load.published * listening * costs.arrival) / 1e6 / BUSY)
        if wanted <= gateways:
            break
        gateways = wanted
    return Needs(
        gateways=gateways,
        memory_bytes=load.clients * costs.connection_bytes + load.channels * listening * costs.channel_bytes,
        listening=listening,
        redis_cores=load.published * (costs.redis_message + listening * costs.redis_copy) / 1e6,
        redis_bytes=load.channels * (costs.redis_channel_bytes + listening * costs.redis_listener_bytes),
        redis_traffic=load.published * listening * COPY_BYTES,
    )


def _listening(load: Load, gateways: int, routed: bool) -> float:
    """Return how many gateways have a client of a channel, on average."""
    if routed:
        return max(1.0, load.per_channel / CONNECTIONS_PER_GATEWAY)
    return gateways * (1 - (1 - 1 / gateways) ** load.per_channel)


def markdown(costs: Costs) -> str:
    """Return a row for each load, spread over the gateways at random, and routed by channel."""
    lines = [
        "| what clients do | clients | published/s | deliveries/s | gateways | their memory | hear a channel "
        "| Redis cores | Redis sends | Redis memory | routed: gateways | Redis cores |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for load in LOADS:
        spread, routed = needs(load, costs), needs(load, costs, routed=True)
        lines.append(
            f"| {load.name} | {load.clients:,} | {load.published:,.0f} | {load.delivered:,.0f} "
            f"| {spread.gateways:,} | {_bytes(spread.memory_bytes)} | {spread.listening:,.1f} "
            f"| {_cores(spread)} | {_bytes(spread.redis_traffic)}/s | {_bytes(spread.redis_bytes)} "
            f"| {routed.gateways:,} | {_cores(routed)} |"
        )
    return "\n".join(lines)


def _cores(needs: Needs) -> str:
    used = f"{needs.redis_cores:.2f}" if needs.redis_cores >= 0.01 else "< 0.01"
    return f"{used} (**{needs.redises} Redis**)" if needs.redises > 1 else used


def _bytes(count: float) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("KB", 1e3)):
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} B"


if __name__ == "__main__":
    print(markdown(MEASURED))  # noqa: T201  # its purpose
