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
        publishers: connections that send.
        rate: messages/s in all.
        connect_rate: connections opened per second.
        drain: longest time in seconds to wait for what is late.
    """

    name: str
    title: str
    clients: int
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
            *("--clients", str(self.clients), "--channels", "1", "--publishers", str(self.publishers)),
            *("--rate", f"{self.rate:g}", "--duration", f"{self.duration(seconds)}s"),
            *("--connect-rate", str(self.connect_rate), "--drain", f"{self.drain}s"),
        ]


WORKLOADS = (
    Workload("fanout", "1000 clients, 100 messages/s on one channel", 1000, 1, 100, 1000, 30),
    Workload("throughput", "100 clients, 5000 messages/s on one channel, 10 publishers", 100, 10, 5000, 1000, 30),
    Workload("idle", "10 000 idle clients of one channel, pinged every 25 s", 10_000, 1, 0, 10_000, 10),
)
