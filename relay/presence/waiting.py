"""Channels that wait for the bus, in groups of which it is told together. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Final

from relay.presence.channel_presence import ChannelPresence
from relay.presence.deadlines import Deadlines

GROUP: Final = 256
"""Channels in a group at most."""

GROUP_WEIGHT: Final = 2000
"""Clients and users in a group, unless one channel alone has more. What one group takes, all others wait for."""

MAX_WITHOUT_CLIENTS: Final = 10_000
"""Channels without clients that the bus doesn't take, at most: while it refuses, strangers may come to any number of
channels, and go. Each takes 1 to 2 KB. What the bus has of the others, it buries as if this gateway were dead there."""


class Waiting:
    """Channels in the order in which they have come, each once."""

    def __init__(self) -> None:
        self._channels: dict[ChannelPresence, None] = {}

    def __len__(self) -> int:
        """Return how many channels wait."""
        return len(self._channels)

    def __iter__(self) -> Iterator[ChannelPresence]:
        """Return the channels, the first one first."""
        return iter(self._channels)

    def add(self, channel: ChannelPresence) -> None:
        """Let a channel wait; nothing happens when it does."""
        self._channels[channel] = None

    def discard(self, channel: ChannelPresence) -> None:
        """Let a channel wait no more; nothing happens when it doesn't."""
        self._channels.pop(channel, None)

    def take(self) -> list[ChannelPresence]:
        """Return the first channels, as many as make a group; they wait no more."""
        group: list[ChannelPresence] = []
        weight = 0
        for channel in self._channels:
            weight += channel.weight
            if group and (len(group) == GROUP or weight > GROUP_WEIGHT):
                break
            group.append(channel)
        for channel in group:
            del self._channels[channel]
        return group


def to_be_forgotten(changed: Waiting, refused: Deadlines[ChannelPresence]) -> list[ChannelPresence]:
    """Return the first channels without clients beyond `MAX_WITHOUT_CLIENTS`.

    Args:
        changed: those of which the bus has to be told.
        refused: those of which it has to be told later; none is in both.
    """
    if len(changed) + len(refused) <= MAX_WITHOUT_CLIENTS:
        return []
    found = [channel for channel in chain(changed, refused) if channel.forgettable]
    return found[: max(0, len(found) - MAX_WITHOUT_CLIENTS)]
