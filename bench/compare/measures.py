"""What is compared: the loads of `python -m bench`, and the figures that each of them shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ..measures import PING_INTERVAL, RARE_LOOK, Launch, fanout, handshakes, idle, publish
from ..reading import Reading
from ..run import drive
from .comparison import Figure

RATE = 20_000  # messages/s of the throughput


@dataclass(frozen=True)
class Options:
    """How much is measured.

    Args:
        seconds: length of each run, without its warm-up.
        connections: number of idle connections.
    """

    seconds: float
    connections: int


@dataclass(frozen=True)
class Measure:
    """One load, and what is read off.

    Args:
        figures: in the order of the readings.
        read: starts a server, loads it, ends it, and returns a reading for each figure.
    """

    figures: tuple[Figure, ...]
    read: Callable[[Launch, Options], tuple[Reading, ...]]


def read_fanout(launch: Launch, options: Options) -> tuple[Reading, ...]:
    """Measure the CPU per delivery of one message at a time."""
    return (fanout(launch, options.seconds),)


def read_throughput(launch: Launch, options: Options) -> tuple[Reading, ...]:
    """Measure deliveries/s, and the CPU per delivery, at a rate at which messages are sent in batches."""
    with launch(None) as server:
        run = drive(server, 1, 100, 10, RATE, options.seconds, RARE_LOOK)
    flaw = f"{run.window.unsent} unsent" if run.window.unsent else ""
    return run.reading(run.delivery_rate, flaw), run.reading(run.delivery_cost, flaw)


def read_publish(launch: Launch, options: Options) -> tuple[Reading, ...]:
    """Measure the CPU per message of many publishers."""
    return (publish(launch, options.seconds),)


def read_idle(launch: Launch, options: Options) -> tuple[Reading, ...]:
    """Measure memory in bytes and CPU in µs/s of an idle connection, for a whole interval at least.

    Pings come in batches: a part of the interval may have few of them, or many.
    """
    memory, cpu = idle(launch, max(options.seconds, PING_INTERVAL), options.connections)
    return replace(memory, value=memory.value * 1024), cpu


def read_handshakes(launch: Launch, options: Options) -> tuple[Reading, ...]:
    """Measure CPU and rate of handshakes into one channel."""
    return handshakes(launch, options.seconds)


def read_subscribes(launch: Launch, options: Options) -> tuple[Reading, ...]:
    """Measure the CPU of handshakes into new channels, each subscribed to on the bus."""
    cost, _ = handshakes(launch, options.seconds, own_channels=True)
    return (cost,)


CPU_PER_DELIVERY = "µs of CPU per delivery"
CPU_PER_HANDSHAKE = "µs of CPU per handshake"

MEASURES = {
    "fanout": Measure((Figure("fan-out, 1000 clients, 100 msg/s", CPU_PER_DELIVERY),), read_fanout),
    "throughput": Measure(
        (
            Figure("throughput, 100 clients, 20 k msg/s", "deliveries/s", digits=0, more_is_better=True),
            Figure("throughput, 100 clients, 20 k msg/s", CPU_PER_DELIVERY, digits=3),
        ),
        read_throughput,
    ),
    "publish": Measure((Figure("publish, 20 publishers, 10 k msg/s", "µs of CPU per message"),), read_publish),
    "idle": Measure(
        (
            Figure("memory of idle connections", "bytes per connection", digits=0),
            Figure("CPU of idle connections", "µs per connection and second", digits=3),
        ),
        read_idle,
    ),
    "handshakes": Measure(
        (
            Figure("handshakes, one channel", CPU_PER_HANDSHAKE, digits=1),
            Figure("handshakes, one channel", "handshakes/s", digits=0, more_is_better=True),
        ),
        read_handshakes,
    ),
    "subscribes": Measure((Figure("handshakes, a new channel each", CPU_PER_HANDSHAKE, digits=1),), read_subscribes),
}
