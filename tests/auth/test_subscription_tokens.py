"""Tokens for one subscription: which give it, and why the others don't."""

from __future__ import annotations

from typing import Any, Final

import jwt
import pytest

from relay.auth.credential import MAX_CREDENTIAL_BYTES
from relay.auth.given_json import MAX_INFO_BYTES
from relay.auth.keys import secret_key
from relay.auth.signed_claims import TokenRules
from relay.auth.subscription_tokens import (
    SubscriptionGrant,
    SubscriptionTokens,
)
from relay.protocols.request_errors import TokenRefused

NOW: Final = 1_800_000_000.0
SECRET: Final = "the secret that only the issuer and the relay know, of 64 bytes."
KEYS: Final = [secret_key(SECRET)]


def token(secret: str = SECRET, **claims: Any) -> str:
    """Return a token of ann for chat:1, valid for an hour, unless the claims say something else; None: without it."""
    claims = {"sub": "ann", "channel": "chat:1", "exp": NOW + 3600, **claims}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, "HS256")


def verify(given: str, channel: str = "chat:1", user: str | None = "ann", **rules: Any) -> SubscriptionGrant:
    """Return what a token gives."""
    return SubscriptionTokens(TokenRules(**rules), lambda: NOW).verify(given, KEYS, channel, user)


def test_a_token_gives_its_channel_to_its_user() -> None:
    assert verify(token()) == SubscriptionGrant(None, NOW + 3600)
    assert verify(token(info={"role": "host"}, data=[1], override={}, client="")) == SubscriptionGrant(
        b'{"role":"host"}', NOW + 3600, b"[1]"
    )
    assert verify(token(info=None)).info is None


@pytest.mark.parametrize("claims", [{"sub": ""}, {"sub": None}])
def test_a_client_without_a_user_has_tokens_without_one(claims: dict[str, Any]) -> None:
    assert verify(token(**claims), user=None).expires_at == NOW + 3600


def test_the_subscription_may_end_at_another_time_than_the_token() -> None:
    assert verify(token(expire_at=NOW + 86400)).expires_at == NOW + 86400
    assert verify(token(expire_at=0)).expires_at is None
    assert verify(token(exp=NOW - 4), leeway=5.0).expires_at == NOW + 1
    assert verify(token(exp=None), expiry_required=False).expires_at is None


@pytest.mark.parametrize("claims", [{"exp": NOW}, {"exp": NOW - 100, "channel": "other"}, {"nbf": NOW + 60}])
def test_one_of_another_time_is_told_apart_so_that_the_client_gets_another(claims: dict[str, Any]) -> None:
    with pytest.raises(TokenRefused, match="has expired") as refused:
        verify(token(**claims))
    assert refused.value.cause == "expired"


@pytest.mark.parametrize(
    ("channel", "user"), [("chat:2", "ann"), ("Chat:1", "ann"), ("chat:1", "bob"), ("chat:1", None), ("chat:1", "")]
)
def test_one_for_another_channel_or_user_is_told_apart(channel: str, user: str | None) -> None:
    with pytest.raises(TokenRefused, match="of another") as refused:
        verify(token(), channel, user)
    assert refused.value.cause == "mismatch"
    with pytest.raises(TokenRefused):
        verify(token(sub=""))


@pytest.mark.parametrize(
    ("given", "rules", "fault", "words"),
    [
        ("", {}, "malformed", "three parts"),
        ("a.b.c", {}, "malformed", "can't be read"),
        ("x" * (MAX_CREDENTIAL_BYTES + 1), {}, "too_long", "longer than 8192"),
        (token(SECRET + "x"), {}, "wrong_signature", "signature"),
        (token(exp=None), {}, "no_expiry", "no exp"),
        (token(client="x"), {}, "malformed", "it has the claim client"),
        (token(), {"issuer": "us"}, "wrong_issuer", "another issuer"),
        (token(), {"audiences": ("relay",)}, "wrong_audience", "another audience"),
        (token(channel=None), {}, "malformed", "it has no channel"),
        (token(channel=""), {}, "malformed", "it has no channel"),
        (token(channel=7), {}, "malformed", "$.channel"),
        (token(channel=["chat:1"]), {}, "malformed", "$.channel"),
        (token(info="x" * MAX_INFO_BYTES), {}, "malformed", "info of chat:1: must have at most"),
    ],
)
def test_one_that_is_not_in_order_says_why(given: str, rules: dict[str, Any], fault: str, words: str) -> None:
    with pytest.raises(TokenRefused) as refused:
        verify(given, **rules)
    told = refused.value
    assert (told.cause, told.fault, words in str(told)) == ("invalid", fault, True), told
    assert len(given) < 12 or given not in str(refused.value)
