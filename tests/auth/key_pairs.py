"""Key pairs of issuers of tokens, made for one run."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

Private = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | dsa.DSAPrivateKey
)

RSA: Final = rsa.generate_private_key(65537, 2048)

P256: Final = ec.generate_private_key(ec.SECP256R1())


def pem_of(private: Private) -> str:
    """Return the public half as PEM."""
    return private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem_of(private: Private) -> str:
    """Return the private half as PEM."""
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
