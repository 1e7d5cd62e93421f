"""`RELAY_AUTH=key`: clients have one of a few shared keys."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from relay.auth.auth_keys import AuthKey
from relay.auth.authenticator import Authenticator, Identity
from relay.auth.credential import Unauthenticated
from relay.authenticators.credentials import Credentials
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.settings import Settings
from relay.settings.access_values import read_keys


def make_authenticator(settings: Settings, counters: Counters) -> Authenticator:
    """Return the authenticator; see `relay.authenticators`."""
    keys = read_keys(settings.auth_keys or (), everything=settings.default_rights is None)
    return SharedKeys(keys, Credentials("key", settings.auth_cookie, settings.default_rights))


class SharedKeys:
    """Identifies clients by the keys in RELAY_AUTH_KEYS; see `relay.auth.authenticator.Authenticator`.

    Args:
        keys: the keys, and what each gives.
        credentials: finds the keys in requests.
    """

    def __init__(self, keys: Sequence[AuthKey], credentials: Credentials) -> None:
        self._credentials = credentials
        self._keys = [(key.key.encode(), credentials.identity(key.grant)) for key in keys]

    def identify(self, request: ConnectRequest) -> Identity:
        """Return the identity of the key that a request has. How long it takes says nothing about the keys.

        Raises:
            Unauthenticated: it has none of them.
        """
        given = self._credentials.take(request).encode(errors="surrogateescape")
        # A list: every key is compared, also after one that fits.
        fitting = [identity for key, identity in self._keys if hmac.compare_digest(given, key)]
        if not fitting:
            raise Unauthenticated("wrong_key", "the key is none of this relay's")
        return fitting[0]
