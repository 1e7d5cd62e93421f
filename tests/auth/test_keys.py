"""Keys of tokens: which can be used, and for which algorithms."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from relay.auth.keys import MAX_KEYS, UnusableKey, key_set, public_keys, secret_key
from tests.auth.key_pairs import RSA, Private, pem_of, private_pem_of

_RSA_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"]


@pytest.mark.parametrize(
    ("secret", "algorithms"),
    [
        ("x" * 32, ["HS256"]),
        ("x" * 48, ["HS256", "HS384"]),
        ("x" * 64, ["HS256", "HS384", "HS512"]),
        ("ü" * 16, ["HS256"]),
    ],
)
def test_a_secret_counts_for_the_algorithms_for_which_it_is_long_enough(secret: str, algorithms: list[str]) -> None:
    assert list(secret_key(secret).algorithms) == algorithms


def test_a_short_secret_is_refused_without_being_repeated() -> None:
    with pytest.raises(UnusableKey, match="has 31 bytes"):
        secret_key("x" * 31)


def test_a_public_key_is_no_secret() -> None:
    """A token that anybody signs with the public key as a secret must never be valid (CVE-2022-29217)."""
    with pytest.raises(UnusableKey, match="is a public key"):
        secret_key(pem_of(RSA))


@pytest.mark.parametrize(
    ("private", "algorithms"),
    [
        (RSA, _RSA_ALGORITHMS),
        (ec.generate_private_key(ec.SECP256R1()), ["ES256"]),
        (ec.generate_private_key(ec.SECP384R1()), ["ES384"]),
        (ec.generate_private_key(ec.SECP521R1()), ["ES512"]),
        (ed25519.Ed25519PrivateKey.generate(), ["EdDSA"]),
    ],
)
def test_a_public_key_counts_for_the_algorithms_of_its_kind(private: Private, algorithms: list[str]) -> None:
    (key,) = public_keys(pem_of(private))
    assert list(key.algorithms) == algorithms


def test_several_public_keys_can_stand_in_one_text() -> None:
    others = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    assert len(public_keys("current\n" + "".join(map(pem_of, others)))) == 2


@pytest.mark.parametrize(
    ("pem", "reason"),
    [
        ("", "holds 0 PEM blocks"),
        ("nothing", "holds 0 PEM blocks"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "neither a public key nor a certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "neither a public key nor a certificate"),
        (private_pem_of(RSA), "is a private key"),
        (pem_of(rsa.generate_private_key(65537, 1024)), "1024 bits"),  # noqa: S505 - must be refused
        (pem_of(ec.generate_private_key(ec.SECP256K1())), "neither RSA, nor of the curves"),
        (pem_of(ed448.Ed448PrivateKey.generate()), "neither RSA, nor of the curves"),
        (pem_of(dsa.generate_private_key(1024)), "neither RSA, nor of the curves"),  # noqa: S505 - quickly made
        (pem_of(RSA) * (MAX_KEYS + 1), "holds 17 PEM blocks"),
    ],
)
def test_what_is_no_public_key_is_refused_with_the_reason(pem: str, reason: str) -> None:
    with pytest.raises(UnusableKey, match=reason):
        public_keys(pem)


def jwk(private: Private, **members: object) -> dict[str, object]:
    """Return a public key as a member of a JWK set."""
    if isinstance(private, rsa.RSAPrivateKey):
        text = RSAAlgorithm.to_jwk(private.public_key())
    elif isinstance(private, ec.EllipticCurvePrivateKey):
        text = ECAlgorithm.to_jwk(private.public_key())
    else:
        assert isinstance(private, ed25519.Ed25519PrivateKey)
        text = OKPAlgorithm.to_jwk(private.public_key())
    return {**json.loads(text), **members}


def test_a_key_set_has_the_keys_that_can_be_used() -> None:
    p256, ed = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()
    keys = key_set(
        [
            jwk(RSA, kid="rsa"),
            jwk(RSA, kid="one", alg="RS256"),
            jwk(p256, kid="p256", use="sig"),
            jwk(ed, kid="ed"),
            jwk(p256),
            jwk(RSA, kid="encrypts", use="enc"),
            jwk(p256, kid="other", alg="RS256"),
            jwk(p256, kid=7),
            {"kty": "oct", "k": "c2VjcmV0", "kid": "secret"},
            {"kty": "EC", "crv": "P-256", "x": "!", "y": "!"},
            {"kty": "new"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": ["RS256"]},
            {"kty": ["RSA"]},
            {"kty": "EC", "crv": {}},
            {},
            "text",
            None,
        ]
    )
    assert {key.id: list(key.algorithms) for key in keys} == {
        "rsa": _RSA_ALGORITHMS,
        "one": ["RS256"],
        "p256": ["ES256"],
        "ed": ["EdDSA"],
        None: ["ES256"],
    }


def test_a_key_set_without_any_is_refused() -> None:
    with pytest.raises(UnusableKey, match="holds no key"):
        key_set([{"kty": "oct", "k": "c2VjcmV0"}])


def test_a_key_tells_nothing_of_itself() -> None:
    assert "secret-secret" not in repr(secret_key("secret-secret-secret-secret-secret"))
