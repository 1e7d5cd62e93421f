"""Issuers' keys and the tokens that they sign."""

from __future__ import annotations

import json
import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm


class Signer:
    """A private key of an issuer, and what the issuer publishes of it.

    Args:
        algorithm: in the tokens' headers.
        private: the key.
        id_: its `kid`; None: it has none.
        jwk: the public key as a JWK.
    """

    def __init__(self, algorithm: str, private: Any, id_: str | None, jwk: dict[str, Any]) -> None:
        self.algorithm = algorithm
        self.id = id_
        self.jwk = jwk if id_ is None else {**jwk, "kid": id_}
        self._private = private

    @property
    def pem(self) -> str:
        """The public key."""
        public = self._private.public_key()
        return str(public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())

    def token(self, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a token: of ann, for an hour, who may do everything; unless the claims say otherwise."""
        payload = {"sub": "ann", "exp": time.time() + 3600, "channels": {"*": "rw"}, **claims}
        named = {} if self.id is None else {"kid": self.id}
        return jwt.encode(payload, self._private, self.algorithm, {**named, **(headers or {})})


@cache
def rsa_signer(id_: str | None = "rsa") -> Signer:
    """Return one with an RSA key; the same for the same id, as they take long to make."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return Signer("RS256", key, id_, json.loads(RSAAlgorithm.to_jwk(key.public_key())))


def ec_signer(id_: str | None = "ec") -> Signer:
    """Return one with a P-256 key."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Signer("ES256", key, id_, json.loads(ECAlgorithm.to_jwk(key.public_key())))


def ed_signer(id_: str | None = "ed") -> Signer:
    """Return one with an Ed25519 key."""
    key = ed25519.Ed25519PrivateKey.generate()
    return Signer("EdDSA", key, id_, json.loads(OKPAlgorithm.to_jwk(key.public_key())))


def key_set(*signers: Signer) -> dict[str, Any]:
    """Return the JWK set that an issuer publishes."""
    return {"keys": [signer.jwk for signer in signers]}
