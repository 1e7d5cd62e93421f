"""Items: who clients are, what they may do, and from which pages they may come."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from relay.checks import access
from relay.checks.verdict import State
from relay.settings.report import SettingSource
from tests.checks.made_facts import SECRET, facts
from tests.checks.verdicts import says

JWT = {"auth": "jwt", "jwt_secret": SECRET}
KEYS = "first-key-of-a-client;user=ann;chat:*=rw,second-key-of-a-client"
OUTSIDE = {"host": "0.0.0.0"}
CERTIFICATES = {"tls_cert": "cert.pem", "tls_client_ca": "ca.pem"}
ISSUER = {"auth": "jwt", "jwks_url": "https://login.example.com/keys"}


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({}, State.MISSING, "set RELAY_AUTH"),
        ({"rights": "user:{sub}=rw"}, State.MISSING, "clients choose the name"),
        ({"rights": "news=r"}, State.WARNING, "all clients have the same rights"),
        (JWT, State.OK, "RELAY_AUTH=jwt"),
        ({"auth": "shop.auth.identify"}, State.OK, "RELAY_AUTH=shop.auth.identify"),
        (CERTIFICATES, State.OK, "by the certificates"),
    ],
)
def test_authentication(settings: dict[str, Any], state: State, words: str) -> None:
    assert says(access.authentication(facts(**settings)), state, words)


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({}, State.MISSING, "every client may do everything"),
        (JWT, State.OK, "the rights of their credentials"),
        ({**JWT, "rights": "news=r"}, State.OK, "every client has news=r"),
        ({**JWT, "rights": "*=rw"}, State.WARNING, "RELAY_RIGHTS has *=rw"),
        ({**JWT, "rights": "*=r"}, State.OK, "*=r"),
        ({"auth": "key", "auth_keys": KEYS}, State.WARNING, "1 of 2 keys in RELAY_AUTH_KEYS may do everything"),
        ({"auth": "key", "auth_keys": KEYS, "rights": "news=r"}, State.OK, "news=r"),
        ({"auth": "key", "auth_keys": KEYS.split(",")[0]}, State.OK, "credentials"),
        ({**JWT, "namespaces": '{"chat": {"rights": "r"}}'}, State.OK, "chat:*=r"),
    ],
)
def test_rights(settings: dict[str, Any], state: State, words: str) -> None:
    verdict = access.rights(facts(**settings))
    assert says(verdict, state, words)
    assert "key-of-a-client" not in verdict.reason


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({}, State.OK, "no tokens"),
        (JWT, State.OK, "has an end"),
        ({**JWT, "jwt_expiry": "optional"}, State.WARNING, "RELAY_JWT_EXPIRY"),
        (ISSUER, State.MISSING, "set RELAY_JWT_ISSUER and RELAY_JWT_AUDIENCE"),
        ({**ISSUER, "jwt_issuer": "x"}, State.MISSING, "set RELAY_JWT_AUDIENCE"),
        ({**ISSUER, "jwt_issuer": "x", "jwt_audience": "relay"}, State.OK, "has an end"),
    ],
)
def test_tokens(settings: dict[str, Any], state: State, words: str) -> None:
    assert says(access.tokens(facts(**settings)), state, words)


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({}, State.MISSING, "set RELAY_ALLOWED_ORIGINS"),
        (JWT, State.OK, "own host"),
        (CERTIFICATES, State.OK, "own host"),
        ({"allowed_origins": "https://app.example.com"}, State.OK, "https://app.example.com"),
        ({**JWT, "allowed_origins": "*"}, State.WARNING, "pages of every site"),
        ({**JWT, "allowed_origins": "https://app.example.com,null"}, State.WARNING, "RELAY_ALLOWED_ORIGINS has null"),
    ],
)
def test_origins(settings: dict[str, Any], state: State, words: str) -> None:
    assert says(access.origins(facts(**settings)), state, words)


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({}, State.OK, "localhost"),
        (OUTSIDE, State.MISSING, "set RELAY_ALLOWED_HOSTS"),
        ({**OUTSIDE, **JWT}, State.WARNING, "set RELAY_ALLOWED_HOSTS"),
        ({**OUTSIDE, **CERTIFICATES}, State.WARNING, "set RELAY_ALLOWED_HOSTS"),
        ({**OUTSIDE, "allowed_hosts": "relay.example.com"}, State.OK, "relay.example.com, and addresses"),
        ({**OUTSIDE, **JWT, "allowed_hosts": "*"}, State.WARNING, "RELAY_ALLOWED_HOSTS is *"),
    ],
)
def test_host_names(settings: dict[str, Any], state: State, words: str) -> None:
    assert says(access.host_names(facts(**settings)), state, words)


@pytest.mark.parametrize(
    ("name", "value"), [("jwt_secret", SECRET), ("broker_url", "redis://:hunter2@redis"), ("api_keys", "k" * 16)]
)
@pytest.mark.parametrize(
    ("source", "mode", "state"),
    [
        (SettingSource.FLAG, None, State.MISSING),
        (SettingSource.ENVIRONMENT, 0o644, State.OK),
        (SettingSource.ENV_FILE, 0o600, State.OK),
        (SettingSource.ENV_FILE, 0o400, State.OK),
        (SettingSource.ENV_FILE, 0o640, State.WARNING),
        (SettingSource.ENV_FILE, 0o644, State.MISSING),
        (SettingSource.ENV_FILE, 0o602, State.MISSING),
    ],
)
def test_secrets(name: str, value: str, source: SettingSource, mode: int | None, state: State) -> None:
    settings: dict[str, Any] = {name: value}
    verdict = access.secrets(replace(facts(**settings), sources={name: source}, env_file_mode=mode))
    assert verdict.state is state
    assert value not in verdict.reason
    assert (f"RELAY_{name.upper()}" in verdict.reason) is (source is SettingSource.FLAG)


def test_an_env_file_without_secrets_may_be_read() -> None:
    found = replace(facts(port=9000), sources={"port": SettingSource.ENV_FILE}, env_file_mode=0o644)
    assert access.secrets(found).state is State.OK


@pytest.mark.parametrize(
    ("settings", "state", "words"),
    [
        ({}, State.OK, "none is asked"),
        (ISSUER, State.OK, "RELAY_JWKS_URL"),
        ({"rpc_url": "http://127.0.0.1:8080/rpc"}, State.OK, "RELAY_RPC_URL"),
        ({"auth": "http", "auth_url": "http://shop.internal/auth"}, State.WARNING, "RELAY_AUTH_URL: http://"),
    ],
)
def test_back_ends(settings: dict[str, Any], state: State, words: str) -> None:
    assert says(access.back_ends(facts(**settings)), state, words)


@pytest.mark.parametrize(
    ("settings", "state"),
    [
        ({}, State.OK),
        ({"api_keys": "k" * 16}, State.OK),
        ({"api_keys": "k" * 16, **OUTSIDE}, State.UNKNOWN),
        ({"api_keys": "k" * 16, "trusted_proxies": "127.0.0.1"}, State.UNKNOWN),
    ],
)
def test_the_server_api(settings: dict[str, Any], state: State) -> None:
    assert access.server_api(facts(**settings)).state is state
