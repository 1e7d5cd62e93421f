"""How many channels one client may have, and how often it may subscribe to others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from relay.limits.rate import Rate

LEAST_BURST: Final = 10


@dataclass(frozen=True, slots=True)
class ChannelLimits:
    """The limits of each client.

    A channel that a client leaves is still subscribed to on the bus for a second, so that flapping clients never reach
    it. A client that goes through ever new channels would have any number of them there, and a number of subscriptions
    alone would not be a limit.

    Args:
        most: channels at a time. Each costs every gateway work when a message comes.
        subscribing: how often it may subscribe.
    """

    most: int
    subscribing: Rate

    @classmethod
    def of(cls, most: int) -> Self:
        """Return what a setting means: a client may change all of its channels at once, and then some of them a second.

        Args:
            most: channels at a time.
        """
        return cls(most, Rate(max(1.0, most / 10), max(LEAST_BURST, 2 * most)))


DEFAULT_CHANNELS: Final = ChannelLimits.of(128)
"""As in Centrifugo by default."""
