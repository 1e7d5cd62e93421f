"""Which back end calls the server API, and what it may do: by the key that it sends."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping

from relay.auth.authenticator import ANONYMOUS, Identity

SCHEME = "apikey"


class ApiKeyAuthenticator:
    """Identifies back ends by the keys in RELAY_API_KEYS. All keys give the same rights.

    Args:
        keys: the keys.
        identity: of a back end that has one of them; by default it may do everything.

    Attributes:
        identity: as above.
    """

    def __init__(self, keys: Iterable[str], identity: Identity = ANONYMOUS) -> None:
        self.identity = identity
        self._keys = [key.encode() for key in keys]

    def identify(self, headers: Mapping[str, str]) -> Identity | None:
        """Return who sends a request; None without a valid key. How long it takes says nothing about the keys.

        Args:
            headers: of the request; look-up ignores case.
        """
        given = find_key(headers).encode(errors="surrogateescape")
        # A list: every key is compared, also after one that fits.
        fits = any([hmac.compare_digest(given, key) for key in self._keys])
        return self.identity if fits else None


def find_key(headers: Mapping[str, str]) -> str:
    """Return the key in `X-API-Key` or `Authorization: apikey KEY`; empty without one."""
    if key := headers.get("X-API-Key", ""):
        return key.strip()
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == SCHEME else ""
