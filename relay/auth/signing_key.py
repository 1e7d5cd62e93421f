"""The keys that sign tokens: a shared secret, or the private key of an issuer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from relay.auth.keys import Key, UnusableKey, public_key, secret_key


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """A key that signs. Its repr tells nothing of it.

    Args:
        material: as PyJWT takes it.
        verifies: the key that verifies what it signs; it knows the algorithms.
    """

    material: Any
    verifies: Key

    @property
    def algorithms(self) -> list[str]:
        """The algorithms with which it can sign, the usual one first."""
        return list(self.verifies.algorithms)

    def sign(self, claims: Mapping[str, object], algorithm: str | None = None, id_: str | None = None) -> str:
        """Return a token.

        Args:
            claims: what it says.
            algorithm: one of `algorithms`; None: the first one.
            id_: its `kid`; None: it has none.

        Raises:
            UnusableKey: the key is not for that algorithm.
        """
        chosen = self.algorithms[0] if algorithm is None else algorithm
        if chosen not in self.algorithms:
            raise UnusableKey(f"signs with {', '.join(self.algorithms)}, and not with {chosen}")
        return jwt.encode(dict(claims), self.material, chosen, None if id_ is None else {"kid": id_})


def signing_secret(secret: str) -> SigningKey:
    """Return the key of a shared secret.

    Raises:
        UnusableKey: it is too short, or is a public key.
    """
    key = secret_key(secret)
    return SigningKey(key.material, key)


def private_key(pem: bytes) -> SigningKey:
    """Return the key in a text with a private key in PEM.

    Raises:
        UnusableKey: there is none, it is encrypted, or it is of a kind that this relay doesn't verify.
    """
    try:
        material = load_pem_private_key(pem, None)
    except TypeError:
        raise UnusableKey("is encrypted; `openssl pkey -in FILE` writes it as it is wanted here") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("holds no private key in PEM") from None
    if not isinstance(material, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey):
        raise UnusableKey("is neither RSA, nor of the curves P-256, P-384, P-521 and Ed25519")
    return SigningKey(material, public_key(material.public_key()))
