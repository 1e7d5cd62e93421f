"""`RELAY_AUTH=jwt`: clients have a JSON Web Token, which the back end has signed."""

from __future__ import annotations

import time
from collections.abc import Awaitable

from relay.auth.authenticator import Authenticator, Identity
from relay.auth.keys import Key, public_keys, secret_key
from relay.auth.tokens import TokenRules, TokenVerifier
from relay.authenticators.credentials import Credentials
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.settings import Settings


def make_authenticator(settings: Settings, counters: Counters) -> Authenticator:
    """Return the authenticator; see `relay.authenticators`."""
    rules = TokenRules(
        issuer=settings.jwt_issuer,
        audiences=settings.jwt_audience or (),
        leeway=settings.jwt_leeway,
        expiry_required=settings.jwt_expiry == "required",
    )
    credentials = Credentials("token", settings.auth_cookie, settings.rights)
    return SignedTokens(configured_keys(settings), TokenVerifier(rules, time.time), credentials)


def configured_keys(settings: Settings) -> list[Key]:
    """Return the keys that stand in the settings, the current ones first."""
    secrets = (settings.jwt_secret, settings.jwt_previous_secret)
    keys = [secret_key(secret.get_secret_value()) for secret in secrets if secret is not None]
    return keys if settings.jwt_public_key is None else [*keys, *public_keys(settings.jwt_public_key)]


class SignedTokens:
    """Identifies clients by their tokens; see `relay.auth.authenticator.Authenticator`.

    Args:
        keys: that may have signed them.
        verifier: verifies them.
        credentials: finds them in requests.
    """

    def __init__(self, keys: list[Key], verifier: TokenVerifier, credentials: Credentials) -> None:
        self._keys = keys
        self._verifier = verifier
        self._credentials = credentials

    def identify(self, request: ConnectRequest) -> Identity | Awaitable[Identity]:
        """Return the identity that the token of a request gives.

        Raises:
            Unauthenticated: it has none, or none that is valid.
        """
        grant = self._verifier.verify(self._credentials.take(request), self._keys)
        return self._credentials.identity(grant)
