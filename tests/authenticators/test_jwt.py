"""Tokens that are signed with keys which an issuer publishes, at a whole gateway."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from relay import Gateway, Settings, authenticators
from relay.auth.authenticator import Identity, RemoteAuthenticator
from relay.auth.signed_claims import TokenRules
from relay.auth.subscription_tokens import (
    SubscriptionAuthenticator,
    SubscriptionGrant,
    SubscriptionTokens,
)
from relay.auth.tokens import TokenVerifier
from relay.authenticators.credentials import Credentials
from relay.authenticators.issuer_keys import MAX_SET_BYTES, IssuerKeys, Pace
from relay.authenticators.jwt import IssuedTokens, configured_keys, make_authenticator
from relay.back_ends.http_client import HttpClient
from relay.errors import Refused
from relay.metrics.counters import Counters
from relay.protocols.request import ConnectRequest
from relay.protocols.request_errors import TokenRefused
from tests.auth.key_pairs import pem_of
from tests.authenticators.signing import Signer, ec_signer, ed_signer, key_set, rsa_signer
from tests.back_ends.http_server import HttpServer, answering, hang
from tests.harness.conditions import wait_until
from tests.harness.http_response import HttpResponse, get

SECRET = "a secret of the deployment, which has 32 bytes or more"

RETRYING = Pace(refresh=3600, cooldown=0.0, first_retry=0.02, last_retry=0.02)
SELDOM = Pace(refresh=3600, cooldown=0.0, first_retry=3600, last_retry=3600)


def issued_tokens(issuer: HttpServer, pace: Pace, patience: float, settings: Settings) -> IssuedTokens:
    """Return an authenticator as `make_authenticator` puts it together, but with a pace and a patience of its own."""
    client = HttpClient(issuer.url, timeout=patience, max_bytes=MAX_SET_BYTES, connections=1)
    verifier, subscriptions = TokenVerifier(TokenRules(), time.time), SubscriptionTokens(TokenRules(), time.time)
    credentials, keys = Credentials("token", None, None), IssuerKeys(client, Counters(), pace)
    return IssuedTokens(configured_keys(settings), verifier, credentials, subscriptions, keys)


@asynccontextmanager
async def gateway_with(
    issuer: HttpServer,
    pace: Pace = SELDOM,
    patience: float = 60.0,
    *,
    secret: str | None = None,
    public: str | None = None,
) -> AsyncIterator[Gateway]:
    """Run a gateway that gets its keys from an issuer, and perhaps has a secret or a public key of the settings."""
    given: dict[str, Any] = {"jwks_url": issuer.url, "jwt_secret": secret, "jwt_public_key": public}
    settings = Settings(port=0, drain_seconds=0, ping_interval=3600, handshake_timeout=120, auth="jwt", **given)
    async with Gateway(settings, authenticator=issued_tokens(issuer, pace, patience, settings)) as gateway:
        yield gateway


async def ask(gateway: Gateway, token: str) -> HttpResponse:
    """Poll with a token."""
    return await get(gateway.port, "/poll/chat:1?wait=0", headers=[f"Authorization: Bearer {token}"])


async def test_the_settings_lead_to_it() -> None:
    """The issuer comes into it with RELAY_JWKS_URL only, and the gateway itself fetches its keys."""
    assert not isinstance(
        make_authenticator(Settings(auth="jwt", jwt_secret=SecretStr(SECRET)), Counters()), RemoteAuthenticator
    )
    signer = ec_signer()
    async with HttpServer(answering(200, key_set(signer))) as issuer:
        settings = Settings(port=0, drain_seconds=0, auth="jwt", jwks_url=issuer.url)
        async with Gateway(settings) as gateway:
            assert (await ask(gateway, signer.token())).status == 200
            assert (await ask(gateway, ec_signer().token())).status == 401
            assert gateway.counters.issuer_fetches == {"ok": 1}
            assert gateway.notes == []


@pytest.mark.parametrize("make", [rsa_signer, ec_signer, ed_signer])
@pytest.mark.parametrize("id_", ["key 1", None])
async def test_tokens_with_all_kinds_of_keys(make: Any, id_: str | None) -> None:
    signer: Signer = make(id_)
    async with (
        HttpServer(answering(200, key_set(ec_signer("other"), signer))) as issuer,
        gateway_with(issuer) as gateway,
    ):
        assert (await ask(gateway, signer.token())).status == 200
        forged = make("other") if make is not rsa_signer else ed_signer("other")
        response = await ask(gateway, forged.token())
        assert (response.status, issuer.requests) == (401, 1)


async def test_a_new_key_is_looked_for_when_a_token_names_it() -> None:
    old, new = ec_signer("old"), ed_signer("new")
    async with HttpServer(answering(200, key_set(old))) as issuer, gateway_with(issuer) as gateway:
        assert (await ask(gateway, old.token())).status == 200
        issuer.handler = answering(200, key_set(old, new))
        answers = await asyncio.gather(*(ask(gateway, new.token()) for _ in range(20)))
        assert {answer.status for answer in answers} == {200}
        assert issuer.requests == 2
        response = await ask(gateway, ec_signer("unknown").token())
        assert response.status == 401
        assert "a key that this relay doesn't know" in response.text


@pytest.mark.parametrize("with_secret", [False, True])
async def test_a_new_key_is_looked_for_beside_other_keys_of_the_settings(with_secret: bool) -> None:
    """A key without `kid`, such as a secret, fits every token that names one."""
    new = rsa_signer("new")
    secret, public = (SECRET, None) if with_secret else (None, pem_of(ed_signer().private))
    async with (
        HttpServer(answering(200, key_set(ec_signer("old")))) as issuer,
        gateway_with(issuer, secret=secret, public=public) as gateway,
    ):
        issuer.handler = answering(200, key_set(new))
        assert (await ask(gateway, new.token())).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"kid": "../../etc/passwd"},
        {"kid": "http://127.0.0.1:1/keys"},
        {"kid": "'; DROP TABLE keys; --"},
        {"kid": "x" * 4000},
        {"jku": "URL", "kid": "evil"},
        {"x5u": "URL"},
        {"jwk": {}},
    ],
    ids=["path", "address", "sql", "long", "jku", "x5u", "jwk"],
)
async def test_what_a_token_says_of_its_key_is_never_fetched(headers: dict[str, Any]) -> None:
    evil = ec_signer("ec")
    async with (
        HttpServer(answering(200, key_set(ec_signer()))) as issuer,
        HttpServer(answering(200, key_set(evil))) as other,
        gateway_with(issuer) as gateway,
    ):
        named = {name: other.url if value == "URL" else value for name, value in headers.items()}
        if "jwk" in named:
            named["jwk"] = evil.jwk
        response = await ask(gateway, evil.token(named))
        assert (response.status, other.requests) == (401, 0)


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
async def test_an_algorithm_that_no_issuers_key_has_is_not_asked_about(algorithm: str) -> None:
    """A public key is no secret, whatever the token's header says; and `none` is nothing."""
    signer = rsa_signer()
    async with HttpServer(answering(200, key_set(signer))) as issuer, gateway_with(issuer) as gateway:
        key = "" if algorithm == "none" else "the public key, or what an attacker makes of it"
        token = jwt.encode({"sub": "ann", "exp": time.time() + 60}, key, algorithm, {"kid": "another"})
        await wait_until(lambda: issuer.requests == 1)
        response = await ask(gateway, token)
        assert (response.status, issuer.requests) == (401, 1)


async def test_without_any_keys_yet_clients_are_refused_for_now() -> None:
    """With 503: a 401 would send all users to log in again. What the settings verify is let in meanwhile."""
    signer = ec_signer()
    issuer = HttpServer(answering(200, key_set(signer)))
    async with gateway_with(issuer, RETRYING, secret=SECRET) as gateway:
        for token in (signer.token(), ec_signer(None).token()):
            response = await ask(gateway, token)
            assert response.status == 503
            assert response.text == "the keys of the token's issuer can't be fetched now\n"
            assert "retry-after" in response.headers
        own = jwt.encode({"sub": "ann", "exp": time.time() + 60, "channels": {"*": "r"}}, SECRET, "HS256")
        assert (await ask(gateway, own)).status == 200
        wrong = jwt.encode({"sub": "ann", "exp": time.time() + 60}, SECRET + "x", "HS256")
        assert (await ask(gateway, wrong)).status == 401
        assert (await ask(gateway, "nonsense")).status == 401
        assert gateway.counters.connections_refused["issuer_unavailable"] == 2
        ready = await get(gateway.port, "/readyz")
        assert (ready.status, ready.json["ready"]) == (200, True)
        (note,) = ready.json["notes"]
        assert "Connection refused; there are none yet, so tokens are refused" in note
        async with issuer:
            await wait_until(lambda: not gateway.notes)
            assert (await ask(gateway, signer.token())).status == 200
        assert (await ask(gateway, signer.token())).status == 200, "its keys are kept"


async def test_a_key_that_can_not_be_looked_for_is_no_fault_of_the_client() -> None:
    known, unknown = ec_signer("known"), ec_signer("unknown")
    async with HttpServer(answering(200, key_set(known))) as issuer, gateway_with(issuer) as gateway:
        assert (await ask(gateway, known.token())).status == 200
        await issuer.stop()
        assert (await ask(gateway, unknown.token())).status == 503
        assert (await ask(gateway, known.token())).status == 200
        assert "the last good ones are used" in gateway.notes[0]


async def test_clients_of_an_issuer_that_hangs_wait_no_longer_than_the_fetch() -> None:
    async with HttpServer(hang) as issuer, gateway_with(issuer, patience=0.1) as gateway:
        assert (await ask(gateway, ec_signer().token())).status == 503


async def test_nothing_is_left_when_the_gateway_stops_in_the_middle() -> None:
    async with HttpServer(hang) as issuer:
        async with gateway_with(issuer) as gateway:
            asking = asyncio.create_task(ask(gateway, ec_signer().token()))
            await wait_until(lambda: issuer.at_once == 1)
        await wait_until(lambda: issuer.at_once == 0)
        await asyncio.gather(asking, return_exceptions=True)


async def test_a_token_that_verifies_waits_for_nothing() -> None:
    """So its handshake is no task, as without an issuer."""
    signer = ec_signer()
    async with HttpServer(answering(200, key_set(signer))) as issuer:
        settings = Settings(auth="jwt", jwks_url=issuer.url)
        authenticator = issued_tokens(issuer, SELDOM, 60.0, settings)
        request = ConnectRequest("/ws/a", {"token": signer.token()}, {}, "")
        await authenticator.open()
        running = asyncio.create_task(authenticator.run())
        later = authenticator.identify(request)
        assert not isinstance(later, Identity), "there are no keys yet"
        assert (await later).user == "ann"
        now = authenticator.identify(request)
        assert isinstance(now, Identity)
        assert now.user == "ann"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await authenticator.close()


async def test_a_token_of_a_subscription_is_verified_with_the_keys_of_all_tokens() -> None:
    """Those of the settings, and those that the issuer has had for a moment only."""
    old, new = ec_signer("old"), ed_signer("new")
    async with HttpServer(answering(200, key_set(old))) as issuer:
        authenticator = issued_tokens(issuer, SELDOM, 60.0, Settings(auth="jwt", jwt_secret=SecretStr(SECRET)))
        assert isinstance(authenticator, SubscriptionAuthenticator)
        await authenticator.open()
        running = asyncio.create_task(authenticator.run())
        first = authenticator.authorize(old.token(channel="a", channels=None), "a", "ann")
        assert not isinstance(first, SubscriptionGrant), "there are no keys yet"
        assert (await first).info is None
        issuer.handler = answering(200, key_set(old, new))
        own = jwt.encode({"sub": "ann", "channel": "a", "exp": time.time() + 60}, SECRET, "HS256")
        assert isinstance(authenticator.authorize(own, "a", "ann"), SubscriptionGrant)
        later = authenticator.authorize(new.token(channel="a", channels=None), "a", "ann")
        assert not isinstance(later, SubscriptionGrant), "its key has to be looked for"
        assert (await later).info is None
        unknown = authenticator.authorize(ec_signer("unknown").token(channel="a"), "a", "ann")
        assert not isinstance(unknown, SubscriptionGrant)
        with pytest.raises(TokenRefused, match="doesn't know"):
            await unknown
        await issuer.stop()
        lost = authenticator.authorize(ec_signer("unknown").token(channel="a"), "a", "ann")
        assert not isinstance(lost, SubscriptionGrant)
        with pytest.raises(Refused, match="can't be fetched"):
            await lost
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await authenticator.close()


def test_tokens_of_subscriptions_are_known_with_jwt_alone() -> None:
    """So a protocol can tell that there are none, whatever the client sends."""
    with_secret = make_authenticator(Settings(auth="jwt", jwt_secret=SecretStr(SECRET)), Counters())
    assert isinstance(with_secret, SubscriptionAuthenticator)
    token = jwt.encode({"sub": "ann", "channel": "a", "exp": time.time() + 60}, SECRET, "HS256")
    assert isinstance(with_secret.authorize(token, "a", "ann"), SubscriptionGrant)
    for others in (Settings(), Settings(auth="key", auth_keys=("0123456789abcdef",))):  # type: ignore[arg-type]
        assert not isinstance(authenticators.make_authenticator(others, Counters()), SubscriptionAuthenticator)
