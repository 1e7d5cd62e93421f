"""Namespaces: what the channels with the same beginning of their names have in common.

The namespace of a channel is the part of its name before the first `:`. A channel without one has the options of all
channels without a namespace; so has a channel whose namespace isn't configured. A namespace that is configured takes
nothing over from these: what it doesn't say is off.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final, Literal

import msgspec

from relay.channel import INTERNAL

SlowConsumerPolicy = Literal["close", "drop", "latest"]
"""What happens to a client that takes less than it is sent: it is closed, or misses the newest messages, or all but
the newest."""

NoJson = Literal["drop", "string"]
"""What clients of a JSON protocol get of a message that is no JSON: nothing, or a string with its text."""

HISTORY_TTL_SECONDS: Final = 300.0
HISTORY_BYTES: Final = 1024 * 1024

CACHED_CHANNELS: Final = 4096

NAMESPACE_RULE: Final = "1 to 100 of A to Z, a to z, 0 to 9, - and _"

_NAMESPACE: Final = re.compile("[A-Za-z0-9_-]{1,100}")


class ChannelOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """What a namespace says about its channels.

    Args:
        history_size: messages that are kept; 0: none.
        history_ttl: seconds for which they are kept after the last one; on Redis up to an eighth longer, a day at most.
        history_bytes: of their payloads that are kept at most; the newest message is kept in any case.
        positions: whether messages are counted without being kept, so that only those clients are told of a gap that
            have missed something. A history counts them anyway.
        presence: whether it is known who is on the channel.
        join_leave: whether clients may hear who comes to the channel and who goes; only with `presence`.
        force_push_join_leave: whether clients of several channels hear that without asking for it, whatever their
            rights say; only with `join_leave`.
        slow_consumer: None: as RELAY_SLOW_CONSUMER says; see `slow_policy`.
        max_message_bytes: of the payload; None: as RELAY_MAX_MESSAGE_BYTES says.
        rights: letters of what all clients may do there; None: as RELAY_RIGHTS says.
        subscriber_rights: letters of what a client may do there, besides its rights, while it is subscribed.
        no_json: what clients of a JSON protocol get of a message that is none.
        delta: whether clients may be sent what has changed since the message before; only where messages have
            positions.
        cache: whether a client that comes back gets the newest message alone, instead of all that it missed; only with
            a history.
    """

    history_size: int = 0
    history_ttl: float = HISTORY_TTL_SECONDS
    history_bytes: int = HISTORY_BYTES
    positions: bool = False
    presence: bool = False
    join_leave: bool = False
    force_push_join_leave: bool = False
    slow_consumer: SlowConsumerPolicy | None = None
    max_message_bytes: int | None = None
    rights: str | None = None
    subscriber_rights: str = ""
    no_json: NoJson = "drop"
    delta: bool = False
    cache: bool = False

    @property
    def positioned(self) -> bool:
        """Whether the messages of these channels have positions."""
        return self.positions or self.history_size > 0

    def slow_policy(self, otherwise: SlowConsumerPolicy) -> SlowConsumerPolicy:
        """Return what happens to a client that takes less than it is sent.

        Where there is a history it is closed: it comes back and misses nothing. If it stayed, it would not learn that
        it has missed something.

        Args:
            otherwise: where the namespace says nothing.
        """
        return "close" if self.history_size else self.slow_consumer or otherwise


PLAIN: Final = ChannelOptions()


class Namespaces:
    """The options of all channels.

    Args:
        default: of channels without a namespace, and of namespaces that aren't configured.
        named: by the names of namespaces.

    Attributes:
        default, named: the same.
        options: returns the options of a channel. Those of the relay's own channels are `PLAIN`.
        positioned: whether the messages of any channel have positions.
        present: whether it is known of any channel who is there.
        sized: whether any namespace has a largest message of its own.
    """

    def __init__(self, default: ChannelOptions = PLAIN, named: Mapping[str, ChannelOptions] | None = None) -> None:
        self.default = default
        self.named = dict(named or {})
        every = (default, *self.named.values())
        self.positioned = any(options.positioned for options in every)
        self.present = any(options.presence for options in every)
        self.sized = any(options.max_message_bytes is not None for options in every)
        self.options = lru_cache(CACHED_CHANNELS)(self._find)

    def _find(self, channel: str) -> ChannelOptions:
        """Return the options of a channel."""
        if channel.startswith(INTERNAL):
            return PLAIN
        namespace, colon, _ = channel.partition(":")
        return self.named.get(namespace, self.default) if colon else self.default


NO_NAMESPACES: Final = Namespaces()


def is_namespace(name: str) -> bool:
    """Return whether channels can have a namespace of this name: `NAMESPACE_RULE`.

    A channel's name may have other characters before its first colon, and is then one of no namespace. So a namespace
    is easily written in settings and patterns, and no two look alike.
    """
    return _NAMESPACE.fullmatch(name) is not None
