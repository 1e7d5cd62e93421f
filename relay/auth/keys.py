"""The keys that may have signed a token, and the algorithms for which each of them counts.

A key belongs to algorithms, a token doesn't: its header only picks one of those that the relay allows for the key. So
no public key is taken for a shared secret, and `none` is none of them (RFC 8725, sections 3.1 and 3.2).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from cryptography.x509 import load_pem_x509_certificate

from relay.errors import RelayError

MIN_RSA_BITS: Final = 2048
"""RFC 7518, section 3.3."""

MAX_RSA_BITS: Final = 8192
"""To verify a token of such a key takes 0.3 ms, and with longer keys more and more."""

MAX_KEYS: Final = 16
"""Of one set. A token that names none is tried with all that fit, for 90 µs each."""

_SECRET_BYTES: Final = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Algorithm → bytes that a secret must have for it (RFC 7518, section 3.2)."""

_DIGESTS: Final = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
"""How the name of an algorithm ends → its hash function."""

MIN_SECRET_BYTES: Final = min(_SECRET_BYTES.values())

_CURVES: Final = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}

_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")

_EDWARDS: Final = "EdDSA"

PUBLIC_ALGORITHMS: Final = frozenset((*_RSA, *_CURVES.values(), _EDWARDS))
"""Those for which a public key may count."""


class UnusableKey(RelayError):
    """A key can't be used.

    Args:
        reason: why not; never repeats the key.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


Verify = Callable[[bytes, bytes], bool]
"""Returns whether a message, the first argument, has a signature, the second."""


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """One key. Its repr tells nothing of it.

    Args:
        material: as PyJWT takes it to sign.
        algorithms: those for which it counts, by their names in the headers of tokens.
        id: its `kid`; None: it has none.
    """

    material: Any
    algorithms: Mapping[str, Verify]
    id: str | None = None

    def fits(self, id_: str | None) -> bool:
        """Return whether a token may be signed with this key.

        Args:
            id_: the `kid` of the token; None: it names no key.
        """
        return id_ is None or self.id is None or self.id == id_


def secret_key(secret: str) -> Key:
    """Return the key of a shared secret.

    Raises:
        UnusableKey: it is too short, or is a public key.
    """
    material = secret.encode()
    names = [name for name, least in _SECRET_BYTES.items() if len(material) >= least]
    if not names:
        raise UnusableKey(f"has {len(material)} byte{'' if len(material) == 1 else 's'}")
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(material)
    except jwt.InvalidKeyError:
        raise UnusableKey("is a public key, a certificate or a JWK, which is no secret") from None
    return Key(material, {name: _hmac(material, name) for name in names})


def public_keys(pem: str) -> list[Key]:
    """Return the keys in a text with public keys or certificates in PEM, several for rotation.

    Raises:
        UnusableKey: there are none, too many, or others than RSA of 2048 bits, P-256, P-384, P-521 and Ed25519.
    """
    keys = [_read_public_key(block) for block in _blocks(pem)]
    if not 1 <= len(keys) <= MAX_KEYS:
        raise UnusableKey(f"holds {len(keys)} PEM blocks")
    return keys


def key_set(members: Iterable[object]) -> list[Key]:
    """Return the public keys of a JWK set (RFC 7517, section 5); what can't be used is left out, as it says there.

    Args:
        members: of its `keys`, parsed. Shared secrets count as unusable: all who can read the set have them.

    Raises:
        UnusableKey: it holds none that can be used.
    """
    keys = []
    for member in members:
        if not isinstance(member, dict) or member.get("kty") == "oct" or member.get("use", "sig") != "sig":
            continue
        if not all(isinstance(member.get(name, ""), str) for name in ("kty", "alg", "kid", "crv")):
            continue
        try:
            material = jwt.PyJWK(member).key
            names = _names(material)
        except (jwt.PyJWTError, UnusableKey, UnsupportedAlgorithm, NotImplementedError):  # the last: `alg` is `none`
            continue
        only, id_ = member.get("alg"), member.get("kid")
        if only is not None:
            names = [name for name in names if name == only]
        if names:
            keys.append(Key(material, _algorithms(material, names), id_))
        if len(keys) == MAX_KEYS:
            break
    if not keys:
        raise UnusableKey("holds no key that can be used")
    return keys


def _blocks(pem: str) -> list[str]:
    """Return the PEM blocks of a text."""
    parts = pem.replace("\r", "").split("-----BEGIN ")[1:]
    return ["-----BEGIN " + part for part in parts]


def _read_public_key(block: str) -> Key:
    if "PRIVATE KEY" in block:
        raise UnusableKey("is a private key, which only the issuer should have")
    data = block.encode()
    try:
        material: object = (
            load_pem_x509_certificate(data).public_key() if "CERTIFICATE" in block else load_pem_public_key(data)
        )
    except (ValueError, UnsupportedAlgorithm):
        raise UnusableKey("holds a PEM block that is neither a public key nor a certificate") from None
    return public_key(material)


def public_key(material: object) -> Key:
    """Return a public key as one that verifies.

    Args:
        material: as `cryptography` has it.

    Raises:
        UnusableKey: it is of a kind that is not accepted, or too short.
    """
    return Key(material, _algorithms(material, _names(material)))


def _names(material: object) -> list[str]:
    """Return the names of the algorithms for which a public key counts."""
    if isinstance(material, rsa.RSAPublicKey):
        if not MIN_RSA_BITS <= material.key_size <= MAX_RSA_BITS:
            raise UnusableKey(f"is an RSA key of {material.key_size} bits, not of {MIN_RSA_BITS} to {MAX_RSA_BITS}")
        return list(_RSA)
    if isinstance(material, ec.EllipticCurvePublicKey) and material.curve.name in _CURVES:
        return [_CURVES[material.curve.name]]
    if isinstance(material, ed25519.Ed25519PublicKey):
        return [_EDWARDS]
    raise UnusableKey("is neither RSA, nor of the curves P-256, P-384, P-521 and Ed25519")


def _algorithms(key: Any, names: Iterable[str]) -> dict[str, Verify]:
    return {name: _ecdsa(key, name) if name in _CURVES.values() else _signature(key, name) for name in names}


def _hmac(secret: bytes, algorithm: str) -> Verify:
    """Return what verifies with a shared secret (RFC 7518, section 3.2).

    `hmac.digest` looks for its hash function and begins with the secret each time: 2.3 µs, and 12 with cold caches. A
    copy of what has begun takes 0.9.
    """
    begun = HMAC(secret, _DIGESTS[algorithm[2:]])

    def verify(message: bytes, signature: bytes) -> bool:
        """See `Verify`. How long it takes says nothing about the signature."""
        copy = begun.copy()
        copy.update(message)
        return hmac.compare_digest(copy.finalize(), signature)

    return verify


def _ecdsa(key: ec.EllipticCurvePublicKey, algorithm: str) -> Verify:
    """Return what verifies with a key of a curve (RFC 7518, section 3.4): PyJWT's way takes a fifth longer."""
    half = (key.curve.key_size + 7) // 8
    with_digest = ec.ECDSA(_DIGESTS[algorithm[2:]])

    def verify(message: bytes, signature: bytes) -> bool:
        """See `Verify`."""
        if len(signature) != 2 * half:
            return False
        r, s = int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big")
        try:
            key.verify(encode_dss_signature(r, s), message, with_digest)
        except InvalidSignature:
            return False
        return True

    return verify


def _signature(key: Any, algorithm: str) -> Verify:
    """Return what verifies with PyJWT: with these keys it takes no time to speak of beside OpenSSL."""
    verify = jwt.get_algorithm_by_name(algorithm).verify
    return lambda message, signature: verify(message, key, signature)
