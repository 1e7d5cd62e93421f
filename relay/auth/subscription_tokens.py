"""Tokens for one subscription: a back end signs that one user may hear one channel, whatever the user's rights say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from relay.auth.credential import MAX_CREDENTIAL_BYTES, Unauthenticated
from relay.auth.given_json import ABSENT, given_json
from relay.auth.keys import Key
from relay.auth.server_side import ServerSide, ServerSideError, check_server_side
from relay.auth.signed_claims import ClaimsReader, SignedClaims, TokenRules
from relay.protocols.multiplexed import ServerSubscription
from relay.protocols.request_errors import TokenRefused


class SubscriptionClaims(SignedClaims, gc=False):
    """What is read of the claims of a token for a subscription; others are ignored.

    `channel` names its channel, and `data` is JSON for the client. `client` is Centrifugo's, of before: the one
    connection that the token is for, which isn't checked here, so there must be none.
    """

    channel: str = ""
    data: msgspec.Raw = ABSENT
    client: str = ""


class SubscriptionGrant(msgspec.Struct, frozen=True):
    """What a token gives: the right to hear its channel.

    Args:
        info: JSON that others are shown of the client in this channel; None: nothing.
        expires_at: when the subscription is to end, in seconds since 1970; None: never.
        data: JSON for the client, which it gets with the answer; None: nothing.
        leeway: see `relay.auth.authenticator.Identity`.
    """

    info: bytes | None = None
    expires_at: float | None = None
    data: bytes | None = None
    leeway: float = 0.0


@runtime_checkable
class SubscriptionAuthenticator(Protocol):
    """An authenticator that knows tokens for subscriptions, too. One that doesn't lets rights alone decide."""

    def authorize(self, token: str, channel: str, user: str | None) -> SubscriptionGrant | Awaitable[SubscriptionGrant]:
        """Return what a token gives.

        Args:
            token: as the client has sent it, not verified.
            channel: to which a client wants to subscribe.
            user: of the client; None: it has none.

        Returns:
            The grant, or an awaitable of it.

        Raises:
            TokenRefused: it gives nothing.
            Refused: with 503; whether it does can't be found out now.
        """


class SubscriptionTokens:
    """Verifies tokens for subscriptions.

    Args:
        rules: what they have to say, besides their channel.
        now: returns the time in seconds since 1970.
    """

    def __init__(self, rules: TokenRules, now: Callable[[], float]) -> None:
        self._claims = ClaimsReader(SubscriptionClaims, rules, now)

    def verify(self, token: str, keys: Sequence[Key], channel: str, user: str | None) -> SubscriptionGrant:
        """Return what a token gives.

        Args:
            token: as the client has sent it, not verified.
            keys: that may have signed it; another object when they have changed.
            channel: to which a client wants to subscribe.
            user: of the client; None: it has none, and its token has an empty `sub`, or none.

        Raises:
            TokenRefused: it gives nothing.
        """
        if len(token) > MAX_CREDENTIAL_BYTES:
            raise _invalid(f"the token is longer than {MAX_CREDENTIAL_BYTES} bytes", "too_long")
        try:
            claims = self._claims.read(token, keys)
        except Unauthenticated as error:
            if error.cause in ("expired", "not_yet_valid"):
                raise TokenRefused("expired", "the token has expired, or is not valid yet") from None
            raise _invalid(error.reason, error.cause) from None
        if not claims.channel:
            raise _invalid("the token is not for a subscription: it has no channel")
        if claims.client:
            raise _invalid("the token is for one connection: it has the claim client")
        if claims.channel != channel or (claims.sub or None) != user:
            raise TokenRefused("mismatch", "the token is for another channel, or of another user")
        info, data = given_json(claims.info), given_json(claims.data)
        try:
            check_server_side(ServerSide({channel: ServerSubscription(info, data)}))
        except ServerSideError as error:
            raise _invalid(f"the token can't be used: {error}") from None
        return SubscriptionGrant(info, self._claims.expires_at(claims), data, self._claims.leeway)


def _invalid(reason: str, fault: str = "malformed") -> TokenRefused:
    return TokenRefused("invalid", reason, fault)
