"""The command `relay token`."""

from __future__ import annotations

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.cli.command import Outcome, invoke

PRIVATE_KEY = ec.generate_private_key(ec.SECP256R1())


SECRET = "0123456789abcdef0123456789abcdef"

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of gateways that want tokens."""
    monkeypatch.setenv("RELAY_AUTH", "jwt")
    monkeypatch.setenv("RELAY_JWT_SECRET", SECRET)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()


def ask(*arguments: str, stdin: str = "") -> Outcome:
    """Run `relay token`."""
    result = invoke("token", *arguments, stdin=stdin.encode())
    return Outcome(result.exit_code, result.stdout, result.stderr)


def made(*arguments: str) -> str:
    """Return a token about which there is no doubt."""
    outcome = ask(*arguments)
    assert (outcome.code, outcome.errors) == (0, "")
    return outcome.output.removesuffix("\n")


def signed(claims: dict[str, Any], secret: str = SECRET, headers: dict[str, Any] | None = None) -> str:
    """Return a token with any claims; it ends in an hour unless these say otherwise."""
    claims = {"exp": int(time.time()) + 3600, **claims}
    return jwt.encode({name: value for name, value in claims.items() if value is not None}, secret, headers=headers)
