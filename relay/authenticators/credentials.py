"""What the authenticators share that want a credential: where it stands, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from relay.auth.authenticator import Identity
from relay.auth.credential import MISSING, Unauthenticated, find_credential
from relay.auth.grant import UNUSABLE, Grant
from relay.protocols.request import ConnectRequest

_HOW: Final = "as Authorization: Bearer, as the subprotocol bearer.TOKEN, or as ?token="


class Credentials:
    """Takes the credentials out of requests, and makes identities of what they give.

    Args:
        kind: what a credential is called, in sentences for clients: `token` or `key`.
        cookie: name of the cookie in which it may stand; None: in none.
        defaults: RELAY_RIGHTS.
    """

    def __init__(self, kind: str, cookie: str | None, defaults: Mapping[str, str] | None) -> None:
        self._kind = kind
        self._cookie = cookie
        self._defaults = defaults or {}

    def take(self, request: ConnectRequest) -> str:
        """Return the credential of a request.

        Raises:
            Refused: with 401, there is none, or it is too long; with 400, there are several.
        """
        found = find_credential(request, self._cookie)
        if not found:
            ways = _HOW if self._cookie is None else f"{_HOW}, or in the cookie {self._cookie}"
            raise Unauthenticated(MISSING, f"this relay wants a {self._kind}: {ways}")
        return found

    def identity(self, grant: Grant) -> Identity:
        """Return who a client is, and what it may do.

        Raises:
            Unauthenticated: what its credential says can't be used.
        """
        try:
            return grant.identity(self._defaults)
        except UNUSABLE as error:
            raise Unauthenticated("malformed", f"the {self._kind} can't be used: {error}") from None
