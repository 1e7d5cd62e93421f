"""Settings of access: which are refused, and that none of their secrets is shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from relay.settings import Settings
from relay.settings.problem import SettingsError
from relay.settings.values import show
from tests.auth.key_pairs import P256, RSA, pem_of, private_pem_of

KEY = "k3y-of-the-deployment"
SECRET = "the secret that only the issuer and the relay know"


def problem_of(variable: str, **values: Any) -> str:
    """Return the sentence with which settings are refused."""
    with pytest.raises(SettingsError) as refused:
        Settings(**values)
    (problem,) = refused.value.problems
    assert problem.variable == variable
    return str(problem)


@pytest.mark.parametrize(
    ("variable", "values", "reason"),
    [
        ("RELAY_AUTH", {"auth": "basic"}, "none|key|jwt|http, or the dotted path"),
        ("RELAY_AUTH", {"auth": "a.b()"}, "none|key|jwt|http, or the dotted path"),
        ("RELAY_AUTH_KEYS", {"auth": "key"}, "RELAY_AUTH=key needs at least one"),
        ("RELAY_AUTH_KEYS", {"auth_keys": f"{KEY},{KEY}"}, "number 2 is there twice"),
        ("RELAY_AUTH_KEYS", {"auth_keys": f"{KEY},short"}, "number 2 has 5 characters"),
        ("RELAY_AUTH_COOKIE", {"auth_cookie": "a=b"}, "the name of a cookie"),
        ("RELAY_RIGHTS", {"rights": "chat"}, "PATTERN=LETTERS"),
        ("RELAY_RIGHTS", {"rights": "chat:*=rwx"}, "some of rwph"),
        ("RELAY_RIGHTS", {"rights": ",".join(f"c{number}=r" for number in range(129))}, "at most 128 patterns"),
        ("RELAY_JWT_SECRET", {"jwt_secret": "short"}, "this one has 5 bytes"),
        ("RELAY_JWT_SECRET", {"jwt_secret": pem_of(RSA)}, "is a public key"),
        ("RELAY_JWT_PREVIOUS_SECRET", {"jwt_previous_secret": "short"}, "this one has 5 bytes"),
        ("RELAY_JWT_PUBLIC_KEY", {"jwt_public_key": "/nowhere/key.pem"}, "No such file"),
        ("RELAY_JWT_PUBLIC_KEY", {"jwt_public_key": private_pem_of(RSA)}, "is a private key"),
        ("RELAY_JWT_AUDIENCE", {"jwt_audience": "a,,b"}, "one is empty"),
        ("RELAY_JWT_LEEWAY", {"jwt_leeway": "301"}, "0 to 300"),
    ],
)
def test_a_wrong_value_is_refused_with_the_reason(variable: str, values: dict[str, Any], reason: str) -> None:
    assert reason in problem_of(variable, **values)


def test_tokens_need_a_key() -> None:
    with pytest.raises(SettingsError, match=r"RELAY_AUTH=jwt needs .*RELAY_JWT_SECRET"):
        Settings(auth="jwt")


def test_public_keys_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "issuer.pem"
    file.write_text(pem_of(RSA) + pem_of(P256))
    assert Settings(jwt_public_key=str(file)).jwt_public_key == pem_of(RSA) + pem_of(P256)


def test_public_keys_may_stand_in_a_variable_of_one_line() -> None:
    """Few tools can set a variable of several lines."""
    assert Settings(jwt_public_key=pem_of(RSA).replace("\n", "\\n")).jwt_public_key == pem_of(RSA)


def test_rights_are_shown_as_they_are_written() -> None:
    values: dict[str, Any] = {"rights": "chat:*=rw, news=r"}  # as in the environment
    settings = Settings(**values)
    assert settings.rights == {"chat:*": "rw", "news": "r"}
    assert show(settings.rights) == "chat:*=rw,news=r"


def test_no_secret_is_shown() -> None:
    values: dict[str, Any] = {"auth_keys": f"{KEY};user=ann", "jwt_secret": SECRET, "jwt_previous_secret": SECRET[::-1]}
    settings = Settings(**values)
    shown = repr(settings) + "".join(show(getattr(settings, name)) for name in values)
    for secret in (KEY, SECRET, SECRET[::-1]):
        assert secret not in shown


@pytest.mark.parametrize("name", ["auth_keys", "jwt_secret", "jwt_previous_secret", "jwt_public_key"])
@pytest.mark.parametrize("secret", ["a s3cret", "-----BEGIN PRIVATE KEY-----\ns3cret\n-----END PRIVATE KEY-----\n"])
def test_a_refused_secret_is_not_repeated(name: str, secret: str) -> None:
    values: dict[str, Any] = {name: f"{secret};s3cret" if name == "auth_keys" else secret}
    with pytest.raises(SettingsError) as refused:
        Settings(**values)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize("variable", ["RELAY_JWKS_URL", "RELAY_AUTH_URL"])
@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("login.example/keys", "URL: https://HOST"),
        ("ftp://login.example/keys", "URL: https://HOST"),
        ("file:///etc/passwd", "URL: https://HOST"),
        ("https://", "URL: https://HOST"),
        ("https://login.example:port/", "it is malformed"),
        ("https://login.example/a b", "URL: https://HOST"),
        ("https://login.example/\n", "URL: https://HOST"),
        ("https://relay:s3cret@login.example/", "without a user, a password and a fragment"),
        ("https://relay@login.example/", "without a user, a password and a fragment"),
        ("https://login.example/#keys", "without a user, a password and a fragment"),
    ],
)
def test_an_address_that_can_not_be_asked_is_refused(variable: str, url: str, reason: str) -> None:
    problem = problem_of(variable, **{variable.removeprefix("RELAY_").lower(): url})
    assert reason in problem
    assert "s3cret" not in problem


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("RELAY_AUTH_HEADERS", "X Device", "not 'X Device'"),
        ("RELAY_AUTH_HEADERS", "Authorization,Cookie", "not Cookie: name the cookies in RELAY_AUTH_COOKIES"),
        ("RELAY_AUTH_HEADERS", "host", "not host: it belongs to the client's own request"),
        ("RELAY_AUTH_HEADERS", "Content-Length", "it belongs to the client's own request"),
        ("RELAY_AUTH_HEADERS", "Transfer-Encoding", "it belongs to the client's own request"),
        ("RELAY_AUTH_HEADERS", "Sec-WebSocket-Key", "it belongs to the client's own request"),
        ("RELAY_AUTH_HEADERS", ",".join(f"X-{n}" for n in range(33)), "at most 32"),
        ("RELAY_AUTH_COOKIES", "a=b", "not 'a=b'"),
        ("RELAY_AUTH_PARAMETERS", "a,,b", "not ''"),
        ("RELAY_AUTH_TIMEOUT", "0", "0.05 to 60"),
        ("RELAY_AUTH_CONCURRENCY", "0", "1 to 10000"),
        ("RELAY_AUTH_CACHE", "3601", "0 to 3600"),
    ],
)
def test_what_no_back_end_can_be_told_is_refused(variable: str, value: str, reason: str) -> None:
    assert reason in problem_of(variable, **{variable.removeprefix("RELAY_").lower(): value})


def test_a_header_counts_once_whatever_its_case() -> None:
    values: dict[str, Any] = {"auth_headers": "Authorization,X-A,authorization,x-a", "auth_parameters": "a,A,a"}
    settings = Settings(**values)
    assert settings.auth_headers == ("Authorization", "X-A")
    assert settings.auth_parameters == ("a", "A")


def test_a_back_end_must_be_named_and_answer_within_the_handshake() -> None:
    values: dict[str, Any] = {"auth": "http"}
    assert "RELAY_AUTH=http needs this" in problem_of("RELAY_AUTH_URL", **values)
    values |= {"auth_url": "https://shop.example/relay", "auth_timeout": 3, "handshake_timeout": 3}
    assert "below RELAY_HANDSHAKE_TIMEOUT, which is 3" in problem_of("RELAY_AUTH_TIMEOUT", **values)
    assert Settings(**{**values, "auth_timeout": 2.9}).auth_timeout == 2.9


@pytest.mark.parametrize("given", [{"jwks_url": "https://login.example/keys"}, {"jwt_secret": SECRET}])
def test_one_kind_of_key_is_enough_for_tokens(given: dict[str, Any]) -> None:
    assert Settings(auth="jwt", **given).auth == "jwt"
