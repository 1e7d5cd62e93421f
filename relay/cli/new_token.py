"""A new token: its claims, the key that signs it, and doubts about it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from relay.auth.auth_keys import read_rights
from relay.auth.authenticator import UserError, check_user
from relay.auth.credential import MAX_CREDENTIAL_BYTES, Unauthenticated
from relay.auth.keys import UnusableKey
from relay.auth.rights import USER, RightsError, compile_patterns
from relay.auth.signing_key import SigningKey, private_key, signing_secret
from relay.auth.subscription_tokens import SubscriptionTokens
from relay.auth.tokens import TokenVerifier
from relay.authenticators.credentials import Credentials
from relay.authenticators.jwt import configured_keys, token_rules
from relay.channel import check_channel
from relay.errors import ChannelError
from relay.protocols.request_errors import TokenRefused
from relay.settings import Settings
from relay.system_error import in_words

_NO_KEY = (
    "there is no key to sign with: set RELAY_JWT_SECRET, in .env for example (`relay token --new-secret` prints one), "
    "or give --private-key FILE"
)


def make_token(
    settings: Settings,
    key_file: Path | None,
    channels: Sequence[str],
    subscribed: Sequence[str],
    subscription: str | None,
    *,
    user: str | None,
    ttl: float,
    lasts: float | None,
    info: str | None,
    kid: str | None,
    algorithm: str | None,
) -> str:
    """Return a token, and tell doubts about it on standard error.

    Args:
        settings: whose secret, issuer and audience it gets.
        key_file: private key to sign with; None: the secret of the settings.
        channels: `PATTERN=LETTERS`.
        subscribed: channels to which its client is subscribed without asking.
        subscription: the channel of a token for a subscription; None: it is for a connection.
        user: its `sub`; None: it has none.
        ttl: seconds for which it is valid; infinity: for ever.
        lasts: seconds for which the connection or the subscription lasts; infinity: for ever; None: as long as it.
        info: JSON for presence; None: nothing.
        kid: name of the key; None: it has none.
        algorithm: None: the usual one of the key.

    Raises:
        click.UsageError: something of this can't be used.
    """
    if subscription is not None and (channels or subscribed):
        raise click.UsageError("--subscription makes a token for one channel: without --channel and --subscribe")
    key = _signing_key(settings, key_file)
    rights = _rights(channels)
    claims = _claims(settings, user, ttl, lasts, info)
    if rights:
        claims["channels"] = rights
    if subscribed:
        claims["subs"] = {_check_channel(channel, "--subscribe"): {} for channel in subscribed}
    if subscription is not None:
        claims["channel"] = _check_channel(subscription, "--subscription")
    try:
        token = key.sign(claims, algorithm, kid)
    except UnusableKey as error:
        raise click.BadParameter(f"the key {error}", param_hint="--algorithm") from None
    for doubt in _doubts(token, key, claims, settings):
        click.secho(f"relay: {doubt}", fg="yellow", err=True)
    return token


def _claims(settings: Settings, user: str | None, ttl: float, lasts: float | None, info: str | None) -> dict[str, Any]:
    """Return the claims that both kinds of tokens have; arguments as for `make_token`."""
    issued = int(time.time())
    claims: dict[str, Any] = {"iat": issued}
    if user is not None:
        claims["sub"] = _check_user(user)
    if ttl != math.inf:
        claims["exp"] = issued + int(ttl)
    if lasts is not None:
        claims["expire_at"] = 0 if lasts == math.inf else issued + int(lasts)
    if settings.jwt_issuer is not None:
        claims["iss"] = settings.jwt_issuer
    if settings.jwt_audience is not None:
        claims["aud"] = settings.jwt_audience[0]
    if info is not None:
        claims["info"] = _parse_info(info)
    return claims


def _signing_key(settings: Settings, file: Path | None) -> SigningKey:
    if file is None:
        if settings.jwt_secret is None:
            raise click.UsageError(_NO_KEY)
        return signing_secret(settings.jwt_secret.get_secret_value())
    try:
        return private_key(file.read_bytes())
    except OSError as error:
        raise click.BadParameter(in_words(error), param_hint="--private-key") from None
    except UnusableKey as error:
        raise click.BadParameter(f"{file} {error}", param_hint="--private-key") from None


def _rights(channels: Sequence[str]) -> dict[str, str]:
    try:
        rights = read_rights(tuple(channels))
        compile_patterns(rights)
    except (ValueError, RightsError) as error:
        raise click.BadParameter(str(error), param_hint="--channel") from None
    return rights


def _check_channel(name: str, option: str) -> str:
    try:
        return check_channel(name)
    except ChannelError as error:
        raise click.BadParameter(str(error), param_hint=option) from None


def _check_user(user: str) -> str:
    try:
        return check_user(user)
    except UserError as error:
        raise click.BadParameter(error.rule, param_hint="--user") from None


def _parse_info(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise click.BadParameter(f"{text[:80]!r} is no JSON: {error}", param_hint="--info") from None


def _refuse_constant(name: str) -> object:
    """Refuse NaN and infinity, which Python takes for numbers, and JSON does not."""
    raise ValueError(f"{name} is not a number")


def _doubts(token: str, key: SigningKey, claims: Mapping[str, Any], settings: Settings) -> Iterator[str]:
    """Yield what may be wrong with a token, in words."""
    if reason := _refusal(token, key, claims, settings):
        yield f"a gateway with these settings refuses this token: {reason}"
    if settings.auth != "jwt" and configured_keys(settings):
        yield f"gateways with these settings don't verify tokens: RELAY_AUTH is {settings.auth}"
    if "channel" in claims:
        return
    rights = claims.get("channels", {})
    if not rights and "subs" not in claims and not settings.default_rights:
        yield "this token allows nothing: give it --channel PATTERN=LETTERS, or set RELAY_RIGHTS for all clients"
    if "sub" not in claims and (personal := [pattern for pattern in rights if USER in pattern]):
        yield f"{', '.join(personal)} matches no channel: {USER} stands for the user, and there is no --user"


def _refusal(token: str, key: SigningKey, claims: Mapping[str, Any], settings: Settings) -> str | None:
    """Return why a gateway refuses a token; None: it doesn't, as far as its keys are in the settings."""
    if len(token) > MAX_CREDENTIAL_BYTES:
        return f"it has {len(token)} bytes, more than {MAX_CREDENTIAL_BYTES}"
    keys = configured_keys(settings) or [key.verifies]
    rules = token_rules(settings)
    try:
        if "channel" in claims:
            SubscriptionTokens(rules, time.time).verify(token, keys, claims["channel"], claims.get("sub"))
        else:
            grant = TokenVerifier(rules, time.time).verify(token, keys)
            Credentials("token", None, settings.default_rights).identity(grant)
    except (Unauthenticated, TokenRefused) as error:
        return error.reason
    return None
