"""Personal channels: those to which each client that has a user is subscribed without asking."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from relay.auth.authenticator import Identity
from relay.auth.rights import USER
from relay.auth.server_side import PLAIN_SUBSCRIPTION, ServerSide
from relay.channel import check_channel
from relay.errors import ChannelError

MAX_PERSONAL_CHANNELS: Final = 8


class PersonalChannels:
    """The personal channels of all users.

    Args:
        patterns: names of channels, in which `{sub}` stands for the name of the user.
    """

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        self._patterns = tuple(patterns)

    def of(self, user: str | None) -> list[str]:
        """Return the channels of a user: not those that can't be channels, because of what its name has.

        Args:
            user: None: it has no name, and no personal channels.
        """
        if user is None:
            return []
        return [name for pattern in self._patterns if _is_channel(name := pattern.replace(USER, user))]

    def complete(self, identity: Identity) -> Identity:
        """Return an identity to which its personal channels are given besides what it has."""
        channels = self.of(identity.user)
        if not channels:
            return identity
        given = identity.server_side or ServerSide()
        # What a token says of one of them counts.
        subscriptions = {**dict.fromkeys(channels, PLAIN_SUBSCRIPTION), **given.subscriptions}
        return replace(identity, server_side=replace(given, subscriptions=subscriptions))


def read_personal_channel(pattern: str) -> str:
    """Return a pattern of personal channels from the settings.

    Raises:
        ValueError: it has no `{sub}`, or the name of no user would make a channel of it.
    """
    if USER not in pattern:
        raise ValueError(f"not {pattern[:80]!r}: {USER} must stand in it, else it is one channel for all")
    rest = pattern.replace(USER, "x")
    if "{" in rest or "}" in rest or "*" in rest or not _is_channel(rest):
        raise ValueError(f"not {pattern[:80]!r}: no channel can be called so")
    return pattern


def _is_channel(name: str) -> bool:
    try:
        check_channel(name)
    except ChannelError:
        return False
    return True
