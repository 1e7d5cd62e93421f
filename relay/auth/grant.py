"""What a credential gives its client: a name, rights, an end, and what others may see of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from relay.auth.authenticator import Identity, UserError, check_user
from relay.auth.given_json import MAX_INFO_BYTES, is_json
from relay.auth.rights import PatternRights, RightsError, compile_patterns
from relay.auth.server_side import ServerSide, ServerSideError, check_server_side
from relay.errors import RelayError

LATEST: Final = 10**11
"""A time beyond is in milliseconds by mistake; as seconds since 1970 it would be in the year 5138."""


class InfoError(RelayError):
    """What presence should show of a client can't be shown.

    Args:
        rule: that it breaks; a sentence without its subject.
    """

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule

    def __str__(self) -> str:
        return f"info: {self.rule}"


class ExpiryError(RelayError):
    """A time can't be when a client is to be disconnected.

    Args:
        moment: in whatever unit.
    """

    def __init__(self, moment: float) -> None:
        super().__init__(moment)
        self.moment = moment

    def __str__(self) -> str:
        return f"expiry: must be in seconds since 1970, not {self.moment:g}"


UNUSABLE: Final = (UserError, RightsError, InfoError, ServerSideError, ExpiryError)
"""What `Grant.identity` raises."""


class Grant(msgspec.Struct, frozen=True):
    """What a token, a key or a back end says about a client; what an authenticator of your own returns.

    Args:
        user: its name, 1 to 255 bytes of UTF-8; None: it has none.
        channels: patterns of channels, and letters of what it may do there; see `relay.auth.rights`. None: nothing but
            what RELAY_RIGHTS gives to all.
        expires_at: when the client is to be disconnected, in seconds since 1970; None: never.
        info: JSON that presence will show of the client, at most `MAX_INFO_BYTES`; None: nothing.
        server_side: subscriptions and data that it is given when it connects; None: nothing.
        leeway: see `Identity`.
    """

    user: str | None = None
    channels: Mapping[str, str] | None = None
    expires_at: float | None = None
    info: bytes | None = None
    server_side: ServerSide | None = None
    leeway: float = 0.0

    def identity(self, defaults: Mapping[str, str]) -> Identity:
        """Return who the client is, and what it may do.

        Args:
            defaults: RELAY_RIGHTS.

        Raises:
            UserError: the name of the user can't be one.
            RightsError: the rights can't be read.
            InfoError: `info` is too long, or no JSON in UTF-8.
            ServerSideError: the subscriptions or the data can't be given.
            ExpiryError: `expires_at` is no time in seconds.
        """
        _check_given(self.user, self.info, self.server_side)
        if self.expires_at is not None and not 0 <= self.expires_at < LATEST:
            raise ExpiryError(self.expires_at)
        rights = PatternRights(compile_patterns(self.channels or {}, defaults), self.user)
        return Identity(self.user, rights, self.expires_at, self.info, self.server_side, self.leeway)


def check_identity(identity: Identity) -> None:
    """Check what a client shows to others, and what it is given; a program may have made its identity without a grant.

    Raises:
        UserError: the name of the user can't be one.
        InfoError: `info` is too long, or no JSON in UTF-8.
        ServerSideError: the subscriptions or the data can't be given.
    """
    _check_given(identity.user, identity.info, identity.server_side)


def _check_given(user: str | None, info: bytes | None, server_side: ServerSide | None) -> None:
    if user is not None:
        check_user(user)
    if info is not None:
        _check_info(info)
    if server_side is not None:
        check_server_side(server_side)


def _check_info(info: bytes) -> None:
    """Raise `InfoError` for what can't be part of a JSON text, or is too long."""
    if len(info) > MAX_INFO_BYTES:
        raise InfoError(f"must have at most {MAX_INFO_BYTES} bytes, has {len(info)}")
    if not is_json(info):
        raise InfoError("must be JSON in UTF-8")
