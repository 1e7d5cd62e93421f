"""Channels that wait for the bus, in groups of which it is told together. Pure."""

from __future__ import annotations

from typing import Final

from relay.presence.channel_presence import ChannelPresence

GROUP: Final = 256
"""Channels in a group at most."""

GROUP_WEIGHT: Final = 2000
"""Clients and users in a group, unless one channel alone has more. What one group takes, all others wait for."""


class Waiting:
    """Channels in the order in which they have come, each once."""

    def __init__(self) -> None:
        self._channels: dict[ChannelPresence, None] = {}

    def __len__(self) -> int:
        """Return how many channels wait."""
        return len(self._channels)

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
