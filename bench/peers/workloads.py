"""What every peer has to do."""

from __future__ import annotations

from dataclasses import dataclass

PING_SECONDS = 25  # between two pings of a client, with every peer


@dataclass(frozen=True)
class Workload:
    """One load.

    Args:
        name: for --workload.
        title: for the table.
        clients: connections that listen.
        channels: over which both are spread.
        publishers: connections that send.
        rate: messages/s in all.
        connect_rate: connections opened per second.
        drain: longest time in seconds to wait for what is late.
    """

    name: str
    title: str
    clients: int
    channels: int
    publishers: int
    rate: float
    connect_rate: int
    drain: int

    @property
    def idle(self) -> bool:
        """Whether nothing is sent while it is measured."""
        return not self.rate

    def duration(self, seconds: int) -> int:
        """Return how long it is measured: idle clients for two of their pings at least."""
        return max(seconds, 2 * PING_SECONDS) if self.idle else seconds

    def options(self, seconds: int) -> list[str]:
        """Return the options of `relay loadtest`."""
        return [
            *("--clients", str(self.clients), "--channels", str(self.channels), "--publishers", str(self.publishers)),
            *("--rate", f"{self.rate:g}", "--duration", f"{self.duration(seconds)}s"),
            *("--connect-rate", str(self.connect_rate), "--drain", f"{self.drain}s"),
        ]


WORKLOADS = (
    Workload("fanout", "1000 clients, 100 messages/s on one channel", 1000, 1, 1, 100, 1000, 30),
    Workload("throughput", "100 clients, 5000 messages/s on one channel, 10 publishers", 100, 1, 10, 5000, 1000, 30),
    Workload("rooms", "500 clients, 50 channels, 200 messages/s for ten clients each", 500, 50, 50, 200, 1000, 30),
    Workload("busy-rooms", "the same with 1000 messages/s", 500, 50, 50, 1000, 1000, 30),
    Workload("pairs", "100 clients, 50 channels, 5000 messages/s for two clients each", 100, 50, 50, 5000, 1000, 30),
    Workload("idle", "10 000 idle clients of one channel, pinged every 25 s", 10_000, 1, 1, 0, 10_000, 10),
)
