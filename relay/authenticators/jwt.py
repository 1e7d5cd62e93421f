"""`RELAY_AUTH=jwt`: clients have a JSON Web Token, which the back end has signed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeVar

from relay.auth.authenticator import Authenticator, Identity
from relay.auth.credential import Cause, Unauthenticated
from relay.auth.keys import PUBLIC_ALGORITHMS, Key, public_keys, secret_key
from relay.auth.signed_claims import TokenRules, read_header
from relay.auth.subscription_tokens import SubscriptionGrant, SubscriptionTokens
from relay.auth.tokens import TokenVerifier
from relay.authenticators.credentials import Credentials
from relay.authenticators.issuer_keys import IssuerKeys, client_of
from relay.back_ends.http_client import warn_of_plain_http
from relay.errors import Refused, Unavailable
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.protocols.request_errors import TokenRefused
from relay.settings import Settings

_UNVERIFIED: Final[frozenset[Cause]] = frozenset({"unknown_key", "wrong_algorithm", "wrong_signature"})
"""What a key that is not there can be the cause of."""

_Verified = TypeVar("_Verified", Identity, SubscriptionGrant)


def make_authenticator(settings: Settings, counters: Counters) -> Authenticator:
    """Return the authenticator; see `relay.authenticators`."""
    rules = token_rules(settings)
    verifier, subscriptions = TokenVerifier(rules, time.time), SubscriptionTokens(rules, time.time)
    credentials = Credentials("token", settings.auth_cookie, settings.default_rights)
    keys = configured_keys(settings)
    if settings.jwks_url is None:
        return SignedTokens(keys, verifier, credentials, subscriptions)
    warn_of_plain_http("RELAY_JWKS_URL", settings.jwks_url)
    issuer = IssuerKeys(client_of(settings.jwks_url), counters)
    return IssuedTokens(keys, verifier, credentials, subscriptions, issuer)


def token_rules(settings: Settings) -> TokenRules:
    """Return what the settings ask of a token."""
    return TokenRules(
        issuer=settings.jwt_issuer,
        audiences=settings.jwt_audience or (),
        leeway=settings.jwt_leeway,
        expiry_required=settings.jwt_expiry == "required",
    )


def configured_keys(settings: Settings) -> list[Key]:
    """Return the keys that stand in the settings, the current ones first."""
    secrets = (settings.jwt_secret, settings.jwt_previous_secret)
    keys = [secret_key(secret.get_secret_value()) for secret in secrets if secret is not None]
    return keys if settings.jwt_public_key is None else [*keys, *public_keys(settings.jwt_public_key)]


class SignedTokens:
    """Identifies clients by their tokens, and knows tokens for subscriptions.

    See `relay.auth.authenticator.Authenticator` and `relay.auth.subscription_tokens.SubscriptionAuthenticator`.

    Args:
        keys: that may have signed them.
        verifier: verifies those of connections.
        credentials: finds these in requests.
        subscriptions: verifies those of subscriptions.
    """

    def __init__(
        self, keys: list[Key], verifier: TokenVerifier, credentials: Credentials, subscriptions: SubscriptionTokens
    ) -> None:
        self._keys = keys
        self._verifier = verifier
        self._credentials = credentials
        self._subscriptions = subscriptions

    def identify(self, request: ConnectRequest) -> Identity | Awaitable[Identity]:
        """Return the identity that the token of a request gives.

        Raises:
            Unauthenticated: it has none, or none that is valid.
        """
        return self._verify(self._credentials.take(request))

    def authorize(self, token: str, channel: str, user: str | None) -> SubscriptionGrant | Awaitable[SubscriptionGrant]:
        """Return what a token for a subscription gives; see `SubscriptionTokens.verify`."""
        return self._verify_subscription(token, channel, user)

    @property
    def _all_keys(self) -> list[Key]:
        """All keys that may have signed a token."""
        return self._keys

    def _verify(self, token: str) -> Identity:
        return self._credentials.identity(self._verifier.verify(token, self._all_keys))

    def _verify_subscription(self, token: str, channel: str, user: str | None) -> SubscriptionGrant:
        return self._subscriptions.verify(token, self._all_keys, channel, user)


class IssuedTokens(SignedTokens):
    """The same with the keys of an issuer besides; a `relay.auth.authenticator.RemoteAuthenticator`.

    Args:
        keys: that stand in the settings, and count whatever the issuer says.
        verifier, credentials, subscriptions: as above.
        issuer: has the keys of the issuer.
    """

    def __init__(
        self,
        keys: list[Key],
        verifier: TokenVerifier,
        credentials: Credentials,
        subscriptions: SubscriptionTokens,
        issuer: IssuerKeys,
    ) -> None:
        super().__init__(keys, verifier, credentials, subscriptions)
        self._issuer = issuer
        # Those of the settings and these of the issuer.
        self._issued = issuer.keys
        self._together = [*keys, *self._issued]

    @property
    def notes(self) -> list[str]:
        """See `IssuerKeys`, as for `open`, `run` and `close`."""
        return self._issuer.notes

    async def open(self) -> None:
        """Get ready to fetch the keys."""
        await self._issuer.open()

    async def run(self) -> None:
        """Fetch the keys, again and again."""
        await self._issuer.run()

    async def close(self) -> None:
        """Close the connection to the issuer."""
        await self._issuer.close()

    def identify(self, request: ConnectRequest) -> Identity | Awaitable[Identity]:
        """Return the identity that the token of a request gives, perhaps after another look at the issuer's keys.

        Raises:
            Unauthenticated: it has none, or none that is valid.
        """
        token = self._credentials.take(request)
        return self._with_keys_for(token, partial(self._verify, token))

    def authorize(self, token: str, channel: str, user: str | None) -> SubscriptionGrant | Awaitable[SubscriptionGrant]:
        """Return what a token for a subscription gives, perhaps after another look; see `SubscriptionTokens.verify`."""
        return self._with_keys_for(token, partial(self._verify_subscription, token, channel, user))

    @property
    def _all_keys(self) -> list[Key]:
        if self._issued is not self._issuer.keys:
            self._issued = self._issuer.keys
            self._together = [*self._keys, *self._issued]
        return self._together

    def _with_keys_for(self, token: str, verify: Callable[[], _Verified]) -> _Verified | Awaitable[_Verified]:
        """Return what `verify` does; look for a key first that it may lack."""
        try:
            return verify()
        except (Unauthenticated, TokenRefused) as error:
            if _fault(error) not in _UNVERIFIED or not self._may_be_known_to_the_issuer(token):
                raise
        return self._verify_later(verify)

    def _may_be_known_to_the_issuer(self, token: str) -> bool:
        """Return whether the issuer may have a key that this token is signed with, and that isn't here."""
        header = read_header(token.partition(".")[0])
        if header.alg not in PUBLIC_ALGORITHMS:
            return False
        return not self._issuer.there or (header.kid is not None and not self._issuer.knows(header.kid))

    async def _verify_later(self, verify: Callable[[], _Verified]) -> _Verified:
        await self._issuer.look_again()
        try:
            return verify()
        except (Unauthenticated, TokenRefused) as error:
            if _fault(error) not in _UNVERIFIED or self._issuer.problem is None:
                raise
        # It may be valid: 401 would send its user to log in again.
        raise Refused(503, Unavailable.ISSUER_UNAVAILABLE)


def _fault(error: Unauthenticated | TokenRefused) -> str:
    """Return what is wrong with a token: one of `relay.auth.credential.Cause`."""
    return error.cause if isinstance(error, Unauthenticated) else error.fault
