"""How much goes on in a run."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Final

NAMESPACES: Final[dict[str, dict[str, int | bool]]] = {
    "kept": {"history_size": 2000},
    "short": {"history_size": 10},
    "counted": {"positions": True},
    "room": {"positions": True, "presence": True, "join_leave": True},
}
"""Channels whose histories hold all of an outage, or not much of it, such that count their messages only, and such
whose clients are known. All others are plain."""

KINDS_OF_CHANNELS: Final = ("kept", "short", "counted", "plain")

BULK: Final = ("kept:bulk", "plain:bulk")
"""Where nobody publishes but bursts of large messages, which fill the buffers of those who don't read."""

ROOMS: Final = ("room:1", "room:2")
"""Where it is asked who is there; each subscriber has a user of its own."""

PROBE: Final = "plain:probe"
"""What the channels of probes begin with."""


@dataclass(frozen=True, slots=True)
class Load:
    """The clients of a run.

    Args:
        channels: of all kinds.
        subscribers: of all kinds, spread over the channels.
        publishers: likewise.
        messages_per_second: of all publishers together.
        message_bytes: of each message.
    """

    channels: int
    subscribers: int
    publishers: int
    messages_per_second: float
    message_bytes: int = 200

    @property
    def names(self) -> list[str]:
        """The names of the channels."""
        kinds = itertools.cycle(KINDS_OF_CHANNELS)
        return [f"{kind}:{number}" for number, kind in zip(range(self.channels), kinds, strict=False)]


LOADS: Final = {
    "tiny": Load(channels=4, subscribers=16, publishers=10, messages_per_second=40),
    "small": Load(channels=12, subscribers=60, publishers=30, messages_per_second=75),
    "full": Load(channels=50, subscribers=300, publishers=100, messages_per_second=500),
}


def has_positions(channel: str) -> bool:
    """Return whether the messages of a channel are counted."""
    return channel.partition(":")[0] in NAMESPACES


def has_history(channel: str) -> bool:
    """Return whether a channel keeps messages."""
    return "history_size" in NAMESPACES.get(channel.partition(":")[0], {})
