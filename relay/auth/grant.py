"""What a credential gives its client: a name, rights, an end, and what others may see of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from relay.auth.authenticator import Identity, check_user
from relay.auth.rights import PatternRights, compile_patterns
from relay.errors import RelayError

MAX_INFO_BYTES: Final = 4096
"""Of `info`: it is kept for each client, and shown in presence."""

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


class Grant(msgspec.Struct, frozen=True):
    """What a token, a key or a back end says about a client; what an authenticator of your own returns.

    Args:
        user: its name, 1 to 255 bytes of UTF-8; None: it has none.
        channels: patterns of channels, and letters of what it may do there; see `relay.auth.rights`. None: nothing but
            what RELAY_RIGHTS gives to all.
        expires_at: when the client is to be disconnected, in seconds since 1970; None: never.
        info: JSON that presence will show of the client, at most `MAX_INFO_BYTES`; None: nothing.
    """

    user: str | None = None
    channels: Mapping[str, str] | None = None
    expires_at: float | None = None
    info: bytes | None = None

    def identity(self, defaults: Mapping[str, str]) -> Identity:
        """Return who the client is, and what it may do.

        Args:
            defaults: RELAY_RIGHTS.

        Raises:
            UserError: the name of the user can't be one.
            RightsError: the rights can't be read.
            InfoError: `info` is too long, or no JSON in UTF-8.
            ExpiryError: `expires_at` is no time in seconds.
        """
        _check_shown(self.user, self.info)
        if self.expires_at is not None and not 0 <= self.expires_at < LATEST:
            raise ExpiryError(self.expires_at)
        rights = PatternRights(compile_patterns(self.channels or {}, defaults), self.user)
        return Identity(self.user, rights, self.expires_at, self.info)


def check_identity(identity: Identity) -> None:
    """Check what others are shown of a client; a program may have made its identity without a grant.

    Raises:
        UserError: the name of the user can't be one.
        InfoError: `info` is too long, or no JSON in UTF-8.
    """
    _check_shown(identity.user, identity.info)


def _check_shown(user: str | None, info: bytes | None) -> None:
    if user is not None:
        check_user(user)
    if info is not None:
        _check_info(info)


def _check_info(info: bytes) -> None:
    """Raise `InfoError` for what can't be part of a JSON text."""
    if len(info) > MAX_INFO_BYTES:
        raise InfoError(f"must have at most {MAX_INFO_BYTES} bytes, has {len(info)}")
    try:
        info.decode()  # msgspec does not check the UTF-8 of `Raw`
        msgspec.json.decode(info, type=msgspec.Raw)
    except (UnicodeDecodeError, msgspec.MsgspecError, RecursionError):
        raise InfoError("must be JSON in UTF-8") from None
