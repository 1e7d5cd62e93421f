"""Clients on channels as others see them, and what is told of those that come and go."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec


class Member(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One client on a channel.

    Args:
        client: its id, 32 hexadecimal digits.
        user: its user; None: it has none.
        info: JSON that was given for it (`relay.auth.grant`); UNSET: nothing. (msgspec decodes no `Raw | None`.)
        channel_info: JSON that was given for its subscription to this channel; UNSET: nothing.
    """

    client: str
    user: str | None = None
    info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    channel_info: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET

    @property
    def name(self) -> str:
        """Names its user, or the client itself where it has none; no user has the name of a client."""
        return f"client:{self.client}" if self.user is None else f"user:{self.user}"


class PresenceEvents(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who has come to a channel, and who has gone; first those who have gone.

    Args:
        channel: its name.
        left: the last client of each user.
        joined: the first client of each user.
    """

    channel: str
    left: Sequence[Member] = ()
    joined: Sequence[Member] = ()
