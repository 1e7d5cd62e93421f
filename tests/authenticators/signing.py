"""Issuers' keys, the sets in which they publish them, and the tokens that they sign."""

from __future__ import annotations

import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.auth.key_pairs import RSA, Private


class Signer:
    """A private key of an issuer.

    Args:
        algorithm: of its tokens.
        private: the key.
        jwk: what the issuer publishes of it, without `kid`.
        id_: its `kid`; None: it has none.
    """

    def __init__(self, algorithm: str, private: Private, jwk: str, id_: str | None) -> None:
        self.algorithm = algorithm
        self.private = private
        self._named = {} if id_ is None else {"kid": id_}
        self.jwk: dict[str, Any] = {**json.loads(jwk), **self._named}

    def token(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a token: of ann, for an hour, for all channels; unless the claims say otherwise."""
        payload = {"sub": "ann", "exp": time.time() + 3600, "channels": {"*": "rw"}, **claims}
        key: Any = self.private
        return jwt.encode(payload, key, self.algorithm, {**self._named, **(headers or {})})


def rsa_signer(id_: str | None = "rsa") -> Signer:
    """Return one with the RSA key of this run."""
    return Signer("RS256", RSA, RSAAlgorithm.to_jwk(RSA.public_key()), id_)


def ec_signer(id_: str | None = "ec") -> Signer:
    """Return one with a P-256 key of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Signer("ES256", key, ECAlgorithm.to_jwk(key.public_key()), id_)


def ed_signer(id_: str | None = "ed") -> Signer:
    """Return one with an Ed25519 key of its own."""
    key = ed25519.Ed25519PrivateKey.generate()
    return Signer("EdDSA", key, OKPAlgorithm.to_jwk(key.public_key()), id_)


def key_set(*signers: Signer) -> dict[str, Any]:
    """Return the JWK set that an issuer publishes."""
    return {"keys": [signer.jwk for signer in signers]}
