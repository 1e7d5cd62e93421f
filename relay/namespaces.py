"""Namespaces: what the channels with the same beginning of their names have in common.

The namespace of a channel is the part of its name before the first `:`. A channel without one has the options of all
channels without a namespace; so has a channel whose namespace isn't configured.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

import msgspec

SlowConsumerPolicy = Literal["close", "drop", "latest"]
"""What happens to a client that takes less than it is sent: it is closed, or misses the newest messages, or all but
the newest."""

HISTORY_TTL_SECONDS: Final = 300.0
HISTORY_BYTES: Final = 1024 * 1024

CACHED_CHANNELS: Final = 4096


class ChannelOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a namespace says about its channels.

    Args:
        history_size: messages that are kept; 0: none.
        history_ttl: seconds for which they are kept after the last one.
        history_bytes: of their payloads that are kept at most; the newest message is kept in any case.
        positions: whether messages are counted without being kept, so that only those clients are told of a gap that
            have missed something. A history counts them anyway.
        presence: whether it is known who is subscribed.
        join_leave: whether clients are told who comes and goes.
        slow_consumer: None: as RELAY_SLOW_CONSUMER says.
        max_message_bytes: of the payload; None: as RELAY_MAX_MESSAGE_BYTES says.
        rights: letters of what all clients may do there; None: as RELAY_RIGHTS says.
    """

    history_size: int = 0
    history_ttl: float = HISTORY_TTL_SECONDS
    history_bytes: int = HISTORY_BYTES
    positions: bool = False
    presence: bool = False
    join_leave: bool = False
    slow_consumer: SlowConsumerPolicy | None = None
    max_message_bytes: int | None = None
    rights: str | None = None

    @property
    def positioned(self) -> bool:
        """Whether the messages of these channels have positions."""
        return self.positions or self.history_size > 0


PLAIN: Final = ChannelOptions()


class Namespaces:
    """The options of all channels.

    Args:
        default: of channels without a namespace, and of namespaces that aren't configured.
        named: by the names of namespaces.

    Attributes:
        default, named: the same.
        positioned: whether the messages of any channel have positions.
    """

    def __init__(self, default: ChannelOptions = PLAIN, named: Mapping[str, ChannelOptions] | None = None) -> None:
        self.default = default
        self.named = dict(named or {})
        self.positioned = any(options.positioned for options in (default, *self.named.values()))
        self.options = lru_cache(CACHED_CHANNELS)(self._find)

    def _find(self, channel: str) -> ChannelOptions:
        """Return the options of a channel."""
        namespace, colon, _ = channel.partition(":")
        return self.named.get(namespace, self.default) if colon else self.default


NO_NAMESPACES: Final = Namespaces()
