"""Tokens with which clients connect: what one gives its client."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from relay.auth.given_json import ABSENT, given_json
from relay.auth.grant import Grant
from relay.auth.keys import Key
from relay.auth.server_side import PLAIN_SUBSCRIPTION, ServerSide
from relay.auth.signed_claims import ClaimsReader, SignedClaims, TokenRules, malformed
from relay.protocols.multiplexed import ServerSubscription


class SubscriptionOptions(msgspec.Struct, gc=False):
    """What Centrifugo's tokens and back ends say of a subscription, as far as it is read; other members are ignored."""

    info: msgspec.Raw = ABSENT
    data: msgspec.Raw = ABSENT

    @property
    def subscription(self) -> ServerSubscription:
        """The subscription that is meant."""
        return ServerSubscription(given_json(self.info), given_json(self.data))


class Claims(SignedClaims, gc=False):
    """What is read of the claims of a token for a connection.

    `channels` is an object of patterns and rights, or, as Centrifugo has it, a list of channels to which the client is
    subscribed. `subs` are Centrifugo's subscriptions with options, and `meta` is its object for back ends. `channel` is
    a claim of subscription tokens: one of these must not open a connection.
    """

    channels: dict[str, str] | list[str] | None = None
    subs: dict[str, SubscriptionOptions | None] | None = None
    meta: msgspec.Raw = ABSENT
    channel: str = ""


class TokenVerifier:
    """Verifies the tokens of clients that connect.

    Args:
        rules: what they have to say.
        now: returns the time in seconds since 1970.
    """

    def __init__(self, rules: TokenRules, now: Callable[[], float]) -> None:
        self._claims = ClaimsReader(Claims, rules, now)

    def verify(self, token: str, keys: Sequence[Key]) -> Grant:
        """Return what a token gives; see `ClaimsReader.read` for arguments and errors."""
        claims = self._claims.read(token, keys)
        if claims.channel:
            raise malformed("it is for one subscription, and not for a connection: it has the claim channel")
        listed, rights = (claims.channels, None) if isinstance(claims.channels, list) else ((), claims.channels)
        server_side = server_side_of(listed, claims.subs, meta=claims.meta)
        expires_at = self._claims.expires_at(claims)
        return Grant(claims.sub or None, rights, expires_at, given_json(claims.info), server_side, self._claims.leeway)


def server_side_of(
    channels: Sequence[str],
    options: Mapping[str, SubscriptionOptions | None] | None,
    *,
    data: msgspec.Raw = ABSENT,
    meta: msgspec.Raw = ABSENT,
) -> ServerSide | None:
    """Return what a client is given when it connects; None: nothing.

    Args:
        channels: to which it is subscribed.
        options: the same with options, which count where a channel is in both.
        data: for the client.
        meta: for back ends.
    """
    given, secret = given_json(data), given_json(meta)
    if not channels and not options and given is None and secret is None:
        return None  # nearly all clients
    subscriptions = dict.fromkeys(channels, PLAIN_SUBSCRIPTION)
    for channel, option in (options or {}).items():
        subscriptions[channel] = PLAIN_SUBSCRIPTION if option is None else option.subscription
    return ServerSide(subscriptions, given, secret)
