"""One run of data messages against one server."""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass

from .fleet import TICK, Fleet, Window
from .latency import latencies, percentile
from .reading import Reading
from .servers import Server
from .tally import Tally, tally_channel
from .wire import WEBSOCKET, Format

WARM_UP = 1.0  # seconds of each run that are not measured


@dataclass
class Run:
    """One run of data messages: its measured window, its tally, its latencies."""

    window: Window
    tally: Tally
    p50: float  # seconds from the moment a message was due
    p99: float  # seconds
    rate: float  # messages/s that were scheduled

    @property
    def delivery_rate(self) -> float:
        """Deliveries/s."""
        return self.window.deliveries / self.window.wall

    @property
    def delivery_cost(self) -> float:
        """Server CPU per delivery in µs."""
        return self.window.clocks.server / max(1, self.window.deliveries) * 1e6

    def reading(self, value: float, flaw: str = "") -> Reading:
        """Return the run as a reading of a value."""
        window = self.window
        return Reading(
            value,
            self.tally,
            client_cpu=window.client_cpu / window.wall,
            server_cpu=window.clocks.server / window.wall,
            redis_cpu=window.clocks.redis / window.wall,
            server_waiting=window.clocks.server_waiting / window.wall,
            redis_waiting=window.clocks.redis_waiting / window.wall,
            stolen=window.clocks.stolen / window.wall,
            stalled=window.stalled / window.wall,
            flaw=flaw,
            details={
                "messages_per_second": self.rate,
                "deliveries": float(window.deliveries),
                "deliveries_per_second": self.delivery_rate,
                "p50_ms": self.p50 * 1000,
                "p99_ms": self.p99 * 1000,
                "unsent": float(window.unsent),
            },
        )


def schedules(publishers: int, rate: float, seconds: float) -> list[array[int]]:
    """Return each publisher's due times in ns: rate messages/s in all, evenly spread."""
    count = round(rate * seconds)
    interval = 1e9 / rate
    return [array("q", (round(i * interval) for i in range(first, count, publishers))) for first in range(publishers)]


def drive(
    server: Server,
    channels: int,
    subscribers: int,
    publishers: int,
    rate: float,
    seconds: float,
    look: int = TICK,
    format: Format = WEBSOCKET,
    namespace: str = "",
) -> Run:
    """Send rate messages/s in all for some seconds and check every delivery.

    Args:
        server: a running server.
        channels: number of channels.
        subscribers: clients of each channel that only listen.
        publishers: publishers in all, dealt out to the channels.
        rate: messages/s of all publishers together.
        seconds: length of the measured part.
        look: ns between two looks at the sockets.
        format: what the subscribers are given.
        namespace: what the channels' names begin with.
    """
    fleet = Fleet(server.port, look, format)
    times = schedules(publishers, rate, WARM_UP + seconds)
    names = [f"{namespace}bench-{i}" for i in range(channels)]
    try:
        for i, name in enumerate(names):
            first = i * publishers // channels
            share = times[first : (i + 1) * publishers // channels]
            fleet.join(name, subscribers, share, first)
        server.wait_subscribed(names)
        time.sleep(0.3)  # let the work of the handshakes end
        window = fleet.run(WARM_UP, seconds, server.clocks)
    finally:
        fleet.close()
    total, references = Tally(), {}
    for channel in fleet.channels:
        tally, parsed = tally_channel(channel)
        total += tally
        references[id(channel.reference)] = parsed
    delays = latencies(fleet, references)
    return Run(window, total, percentile(delays, 0.5) / 1e9, percentile(delays, 0.99) / 1e9, rate)
