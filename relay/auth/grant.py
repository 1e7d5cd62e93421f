"""What a credential gives its client: a name, rights, an end, and what others may see of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from relay.auth.authenticator import Identity, check_user
from relay.auth.rights import PatternRights, compile_patterns
from relay.errors import RelayError

MAX_INFO_BYTES: Final = 4096
"""Of `info`: it is kept for each client, and shown in presence."""


class InfoError(RelayError):
    """What presence should show of a client is too long.

    Args:
        size: in bytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size

    def __str__(self) -> str:
        return f"info: must have at most {MAX_INFO_BYTES} bytes, has {self.size}"


@dataclass(frozen=True, slots=True)
class Grant:
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
            InfoError: `info` is too long.
        """
        if self.user is not None:
            check_user(self.user)
        if self.info is not None and len(self.info) > MAX_INFO_BYTES:
            raise InfoError(len(self.info))
        rights = PatternRights(compile_patterns(self.channels or {}, defaults), self.user)
        return Identity(self.user, rights, self.expires_at, self.info)
