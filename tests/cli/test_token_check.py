"""`relay token --check` says what a token allows, or why it is refused."""

from __future__ import annotations

import re
import time
from datetime import datetime
from typing import Any

import jwt
import pytest
from pydantic import SecretStr

from relay.cli.token_check import check_token
from relay.settings import Settings
from tests.authenticators.signing import ec_signer, key_set
from tests.back_ends.http_server import HttpServer, answering
from tests.cli.asked_token import PRIVATE_KEY, SECRET, ask, signed
from tests.cli.asked_token import _settings as _settings
from tests.cli.command import Outcome, invoke_aside


def test_a_token_that_is_accepted_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who, until when, what it gives itself, what the settings add, and what decides."""
    monkeypatch.setenv("RELAY_RIGHTS", "news=r,chat:*=r,*=")
    ends, leeway = int(time.time()) + 3600, Settings.model_fields["jwt_leeway"].default
    channels = {"chat:*": "rw", "user:{sub}": "rp", "chat:staff": ""}
    token = signed({"sub": "ann", "exp": ends, "channels": channels, "info": {"a": 1}})
    questions = ["--channel", "chat:1", "--channel", "news", "--channel", "user:ann"]
    outcome = ask("--check", token, *questions)
    assert outcome == Outcome(
        0,
        f"""\
accepted
  user   ann
  until  {datetime.fromtimestamp(ends + leeway):%A %d %B %Y, %H:%M:%S} UTC, in 60 minutes
  info   {{"a":1}}

  pattern                given by      subscribe  publish  presence  history
  chat:*                 the token     yes        yes      -         -
  user:{{sub}} (user:ann)  the token     yes        -        yes       -
  chat:staff             the token     -          -        -         -
  news                   RELAY_RIGHTS  yes        -        -         -
  *                      RELAY_RIGHTS  -          -        -         -
  all others                           -          -        -         -

  chat:1: may subscribe, may publish; chat:* of the token decides
  news: may subscribe, may not publish; news of RELAY_RIGHTS decides
  user:ann: may subscribe, may not publish; user:{{sub}} of the token decides
""",
        "",
    )


def test_what_a_namespace_gives_to_all_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_NAMESPACES", '{"news": {"rights": "r"}, "chat": {"rights": "r"}}')
    outcome = ask("--check", signed({"channels": {"chat:*": "rw"}}), "--channel", "news:1", "--channel", "chat:1")
    assert outcome.code == 0
    assert re.search("news:[*] +its namespace +yes +- ", outcome.output)
    assert "  news:1: may subscribe, may not publish; news:* of its namespace decides\n" in outcome.output
    assert "  chat:1: may subscribe, may publish; chat:* of the token decides\n" in outcome.output


def test_a_token_without_a_right_to_the_channel_is_accepted_with_another_exit_code() -> None:
    token = signed({"channels": {"user:{sub}": "r"}})
    outcome = ask("--check", "-", "--channel", "user:ann", stdin=f" {token}\n")
    assert (outcome.code, outcome.errors) == (1, "")
    assert "  user   none: the token has no sub\n" in outcome.output
    assert "user:{sub} (none: there is no user)" in outcome.output
    assert outcome.output.endswith("  user:ann: may not subscribe, may not publish; no pattern matches\n")


def test_a_connection_without_an_end_is_told() -> None:
    """Centrifugo's `expire_at` of 0, and tokens without `exp` where these are allowed."""
    for arguments, claims in ((["--jwt-expiry", "optional"], {"exp": None}), ([], {"expire_at": 0})):
        outcome = ask("--check", signed(claims), *arguments)
        assert outcome.code == 0
        assert "  until  its client leaves: the connection doesn't end by itself\n" in outcome.output
        assert "  all      " in outcome.output


NOW = 1_700_000_000.0


REFUSALS: list[tuple[str, dict[str, Any], str]] = [
    ("", {}, "the token can't be read: it must be a JSON Web Token: three parts with dots between them"),
    ("a.b", {}, "three parts with dots between them"),
    ("é.b.c", {}, "three parts with dots between them"),
    ("!.b.c", {}, "its parts must be base64url without padding"),
    ("x" * 10_000, {}, "the token has 10000 bytes, more than 8192"),
    (signed({}, headers={"crit": ["exp"]}), {}, "its header has crit, and this relay knows no extension"),
    (jwt.encode({}, "", "none"), {}, "doesn't accept (its alg is 'none'; the keys here are for HS256)"),
    (
        jwt.encode({}, PRIVATE_KEY, "ES256"),
        {"jwt_previous_secret": SECRET * 2},
        "(its alg is 'ES256'; the keys here are for HS256, HS384, HS512)",
    ),
    (
        signed({}, SECRET[::-1]),
        {},
        "signature is not valid (it was signed with another key, or changed afterwards)",
    ),
    (signed({}, SECRET[::-1], {"kid": "a\x1b"}), {}, "doesn't know (its kid is 'a\\x1b')"),
    (signed({"sub": 1}), {}, "the token can't be read: its claims: Expected `str | null`, got `int` - at `$.sub`"),
    (signed({"exp": None}), {}, "valid for ever (RELAY_JWT_EXPIRY=optional allows that)"),
    (signed({"exp": NOW - 7300}), {}, "expired (Tuesday 14 November 2023, 20:11:40 UTC, 2 hours ago)"),
    (
        signed({"exp": NOW - 0.4}),
        {"jwt_leeway": 0},
        "expired (Tuesday 14 November 2023, 22:13:19 UTC, 0 seconds ago)",
    ),
    (
        signed({"nbf": NOW + 90}),
        {},
        "not valid yet (nbf: Tuesday 14 November 2023, 22:14:50 UTC, in 90 seconds; RELAY_JWT_LEEWAY is 5 s)",
    ),
    (
        signed({"iat": NOW + 200_000}),
        {},
        "in the future (iat: Friday 17 November 2023, 05:46:40 UTC, in 2 days; RELAY_JWT_LEEWAY is 5 s)",
    ),
    (signed({"iss": "b"}), {"jwt_issuer": "a"}, "another issuer (its iss is 'b'; RELAY_JWT_ISSUER is 'a')"),
    (signed({}), {"jwt_issuer": "a"}, "another issuer (its iss is missing; RELAY_JWT_ISSUER is 'a')"),
    (
        signed({"aud": ["b", "c"]}),
        {"jwt_audience": ("a", "d")},
        "another audience (its aud is ['b', 'c']; RELAY_JWT_AUDIENCE is 'a', 'd')",
    ),
    (signed({"exp": NOW * 1000}), {}, "its times must be seconds since 1970"),
    (
        signed({"channels": {"a*b": "r"}}),
        {},
        "the token can't be used: the pattern 'a*b': * stands at the end only",
    ),
    (signed({"sub": "a\x00"}), {}, "the token can't be used: user must not contain control characters"),
]
"""Token, settings besides the secret, and what is said."""


@pytest.mark.parametrize(("token", "settings", "words"), REFUSALS, ids=[words for _, _, words in REFUSALS])
def test_a_token_that_is_refused_is_explained(
    capsys: pytest.CaptureFixture[str], token: str, settings: dict[str, Any], words: str
) -> None:
    """By the sentence that a client gets, and by what else the person with the settings may know."""
    given = Settings(auth="jwt", jwt_secret=SecretStr(SECRET), **settings)
    assert check_token(token, [], given, lambda: NOW) is False
    output, errors = capsys.readouterr()
    assert output == ""
    assert errors.startswith("relay: refused: the token")
    assert words in errors
    assert errors.count("\n") == 1
    assert not token or token not in errors


def test_that_gateways_verify_no_tokens_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELAY_AUTH", "none")
    outcome = ask("--check", signed({}))
    assert outcome.code == 0
    assert outcome.errors == "relay: gateways with these settings don't verify tokens: RELAY_AUTH is none\n"


async def test_a_token_of_an_issuer_is_checked_with_the_keys_that_it_publishes(monkeypatch: pytest.MonkeyPatch) -> None:
    signer = ec_signer()
    issuer = HttpServer(answering(200, key_set(signer)))
    monkeypatch.setenv("RELAY_JWKS_URL", issuer.url)
    for secret in (SECRET, ""):
        monkeypatch.setenv("RELAY_JWT_SECRET", secret)
        outcome = await invoke_aside("token", "--check", signer.token())
        assert outcome.code == 1
        assert f"the issuer's keys can't be fetched from 127.0.0.1:{issuer.port}: Connection refused" in outcome.errors
        async with issuer:
            outcome = await invoke_aside("token", "--check", signer.token(), "--channel", "a")
            assert (outcome.code, outcome.errors) == (0, "")
            assert "a: may subscribe, may publish" in outcome.output
            outcome = await invoke_aside("token", "--check", ec_signer("another").token())
            assert outcome.code == 1
            assert "a key that this relay doesn't know (its kid is 'another')" in outcome.errors
