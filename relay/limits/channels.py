"""How many channels one client may have, how often it may subscribe to others, and what it may send to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from relay.errors import Disconnect, ProtocolError
from relay.limits.rate import Rate
from relay.namespaces import NO_NAMESPACES, Namespaces

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
        sized: the namespaces, of which some have a largest message of their own; None: none has.
    """

    most: int
    subscribing: Rate
    sized: Namespaces | None = None

    @classmethod
    def of(cls, most: int, namespaces: Namespaces = NO_NAMESPACES) -> Self:
        """Return what a setting means: a client may change all of its channels at once, and then some of them a second.

        Args:
            most: channels at a time.
            namespaces: the options of channels.
        """
        rate = Rate(max(1.0, most / 10), max(LEAST_BURST, 2 * most))
        return cls(most, rate, namespaces if namespaces.sized else None)

    def max_message_bytes(self, channel: str) -> int | None:
        """Return the largest message that a channel's namespace allows; None: as RELAY_MAX_MESSAGE_BYTES says."""
        return None if self.sized is None else self.sized.options(channel).max_message_bytes


def check_size(limits: ChannelLimits, channel: str, size: int) -> None:
    """Refuse a client's message that is too big for its channel.

    Args:
        limits: of each client.
        channel: where it is published.
        size: bytes of its payload.

    Raises:
        ProtocolError: it is.
    """
    most = limits.max_message_bytes(channel)
    if most is not None and size > most:
        raise ProtocolError(Disconnect.MESSAGE_TOO_BIG, f"{size} bytes, and the namespace allows {most}")


DEFAULT_CHANNELS: Final = ChannelLimits.of(128)
"""As in Centrifugo by default."""
