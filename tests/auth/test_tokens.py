"""Verifying tokens: which are valid, and why the others are not."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import jwt
import pytest

from relay.auth.credential import Unauthenticated
from relay.auth.grant import Grant
from relay.auth.keys import Key, public_keys, secret_key
from relay.auth.server_side import NO_SUBSCRIPTIONS, PLAIN_SUBSCRIPTION, ServerSide
from relay.auth.signed_claims import TokenRules, UnknownKey
from relay.auth.tokens import TokenVerifier
from relay.protocols.multiplexed import ServerSubscription
from tests.auth.key_pairs import P256, RSA, pem_of

NOW: Final = 1_800_000_000.0
SECRET: Final = "the secret that only the issuer and the relay know, of 64 bytes."
KEYS: Final = [secret_key(SECRET)]


def verifier(**rules: Any) -> TokenVerifier:
    """Return a verifier at a fixed time."""
    return TokenVerifier(TokenRules(**rules), lambda: NOW)


def token(secret: Any = SECRET, algorithm: str | None = "HS256", headers: Any = None, **claims: Any) -> str:
    """Return a token that is valid for an hour, unless the claims say something else."""
    return jwt.encode({"exp": NOW + 3600, **claims}, secret, algorithm, headers)


def put_together(*parts: bytes) -> str:
    """Return parts in the form of a token."""
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def signed(header: object, payload: bytes) -> str:
    """Return any header and payload, with a valid signature."""
    head = put_together(json.dumps(header).encode(), payload)
    signature = jwt.get_algorithm_by_name("HS256").sign(head.encode(), SECRET.encode())
    return f"{head}.{put_together(signature)}"


def cause_of(given: str, keys: list[Key] = KEYS, **rules: Any) -> tuple[str, str]:
    """Return why a token is refused: the name in the counters and the sentence."""
    with pytest.raises(Unauthenticated) as refused:
        verifier(**rules).verify(given, keys)
    assert refused.value.status == 401
    assert refused.value.headers == {"WWW-Authenticate": 'Bearer error="invalid_token"'}
    return refused.value.cause, refused.value.reason


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_token_of_the_secret_is_valid(algorithm: str) -> None:
    given = token(algorithm=algorithm, sub="ann", channels={"chat:*": "rw"}, info={"name": "Ann"})
    assert verifier().verify(given, KEYS) == Grant("ann", {"chat:*": "rw"}, NOW + 3600, b'{"name":"Ann"}')


@pytest.mark.parametrize(("private", "algorithm"), [(RSA, "RS256"), (RSA, "RS512"), (RSA, "PS256"), (P256, "ES256")])
def test_a_token_of_a_private_key_is_valid(private: Any, algorithm: str) -> None:
    given = token(private, algorithm, sub="ann")
    assert verifier().verify(given, public_keys(pem_of(private))).user == "ann"


def test_during_a_rotation_both_secrets_count() -> None:
    old = token("the secret of before, which has 32 bytes or more", sub="ann")
    both = [*KEYS, secret_key("the secret of before, which has 32 bytes or more")]
    assert verifier().verify(old, both).user == verifier().verify(token(sub="ann"), both).user == "ann"
    assert cause_of(old)[0] == "wrong_signature"


def test_a_token_names_its_key() -> None:
    keys = [Key(key.material, key.algorithms, id_) for id_ in ("a", "b") for key in KEYS]
    assert verifier().verify(token(headers={"kid": "b"}), keys) == Grant(expires_at=NOW + 3600)
    with pytest.raises(UnknownKey):
        verifier().verify(token(headers={"kid": "c"}), keys)


def test_a_key_without_a_name_is_not_taken_for_the_one_that_a_token_names() -> None:
    """A secret beside an issuer's keys: its algorithm is accepted, but the key is unknown."""
    (public,) = public_keys(pem_of(P256))
    keys = [*KEYS, Key(public.material, public.algorithms, "a")]
    assert cause_of(token(RSA, "RS256", headers={"kid": "c"}), keys)[0] == "wrong_algorithm"
    assert cause_of(token(P256, "ES256", headers={"kid": "c"}), keys)[0] == "unknown_key"
    assert cause_of(token(RSA, "RS256", headers={"kid": "a"}), keys)[0] == "wrong_algorithm"


@pytest.mark.parametrize("kid", ["../../etc/passwd", "https://evil.example/keys", "' OR 1=1 --", "", "\x00"])
def test_the_name_of_a_key_is_only_compared(kid: str) -> None:
    keys = [Key(key.material, key.algorithms, "a") for key in KEYS]
    assert cause_of(token(headers={"kid": kid}), keys)[0] == "unknown_key"


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
def test_keys_that_a_token_brings_are_not_looked_at(name: str) -> None:
    own = {"jku": "https://evil.example/keys", "x5u": "https://evil.example/x", "jwk": {"kty": "oct"}, "x5c": ["AA"]}
    forged = token("a secret that the relay doesn't know, at all", headers={name: own[name]})
    assert cause_of(forged)[0] == "wrong_signature"


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "nOnE", ""])
def test_an_unsigned_token_is_refused(algorithm: str) -> None:
    head = put_together(json.dumps({"alg": algorithm}).encode(), json.dumps({"exp": NOW + 60}).encode())
    assert cause_of(f"{head}.")[0] == "wrong_algorithm"
    assert cause_of(f"{head}.AAAA")[0] == "wrong_algorithm"


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
def test_a_public_key_is_never_taken_for_a_secret(algorithm: str) -> None:
    """The attacker signs with what is public (CVE-2022-29217)."""
    pem = pem_of(RSA)
    head = put_together(json.dumps({"alg": algorithm}).encode(), json.dumps({"exp": NOW + 60}).encode())
    signature = jwt.get_algorithm_by_name(algorithm).sign(head.encode(), pem.encode())
    assert cause_of(f"{head}.{put_together(signature)}", public_keys(pem))[0] == "wrong_algorithm"


def test_the_algorithm_of_a_key_is_not_the_choice_of_the_token() -> None:
    assert cause_of(token(P256, "ES256"))[0] == "wrong_algorithm"
    assert cause_of(token(), public_keys(pem_of(P256)))[0] == "wrong_algorithm"


@pytest.mark.parametrize(
    ("claims", "rules", "cause"),
    [
        ({"exp": NOW - 1}, {}, "expired"),
        ({"exp": NOW}, {}, "expired"),
        ({"exp": NOW - 5}, {"leeway": 5.0}, "expired"),
        ({"exp": 0}, {}, "expired"),
        ({"nbf": NOW + 1}, {}, "not_yet_valid"),
        ({"nbf": NOW + 6}, {"leeway": 5.0}, "not_yet_valid"),
        ({"iat": NOW + 6}, {"leeway": 5.0}, "not_yet_valid"),
        ({}, {"issuer": "us"}, "wrong_issuer"),
        ({"iss": "them"}, {"issuer": "us"}, "wrong_issuer"),
        ({"iss": "US"}, {"issuer": "us"}, "wrong_issuer"),
        ({}, {"audiences": ("relay",)}, "wrong_audience"),
        ({"aud": "other"}, {"audiences": ("relay",)}, "wrong_audience"),
        ({"aud": ["a", "b"]}, {"audiences": ("relay",)}, "wrong_audience"),
        ({"aud": []}, {"audiences": ("relay",)}, "wrong_audience"),
        ({"exp": NOW * 1000}, {}, "malformed"),
        ({"exp": -1}, {}, "malformed"),
        ({"expire_at": -1}, {}, "malformed"),
    ],
)
def test_a_token_that_says_the_wrong_thing_is_refused(
    claims: dict[str, Any], rules: dict[str, Any], cause: str
) -> None:
    assert cause_of(token(**claims), **rules)[0] == cause


@pytest.mark.parametrize(
    ("claims", "rules"),
    [
        ({"exp": NOW - 4}, {"leeway": 5.0}),
        ({"nbf": NOW + 4}, {"leeway": 5.0}),
        ({"iss": "us"}, {"issuer": "us"}),
        ({"aud": "relay"}, {"audiences": ("relay", "chat")}),
        ({"aud": ["other", "chat"]}, {"audiences": ("relay", "chat")}),
        ({"aud": "anything", "iss": "anybody", "jti": "1", "other": [{}]}, {}),
    ],
)
def test_a_token_that_says_the_right_thing_is_valid(claims: dict[str, Any], rules: dict[str, Any]) -> None:
    verifier(**rules).verify(token(**claims), KEYS)


def test_a_token_without_an_end_is_refused_unless_it_is_allowed() -> None:
    endless = jwt.encode({"sub": "ann"}, SECRET, "HS256")
    assert cause_of(endless)[0] == "no_expiry"
    assert verifier(expiry_required=False).verify(endless, KEYS) == Grant("ann")


def test_the_connection_may_end_at_another_time_than_the_token() -> None:
    """As in Centrifugo: a token for one connection may live for a minute, and the connection for a day."""
    assert verifier().verify(token(expire_at=NOW + 86400), KEYS).expires_at == NOW + 86400
    assert verifier().verify(token(expire_at=0), KEYS).expires_at is None


def test_the_leeway_counts_for_the_connection_too() -> None:
    """Else a client that is let in with a token that is just over would be closed at once, and come back."""
    late: list[dict[str, Any]] = [{"exp": NOW - 4}, {"exp": NOW + 60, "expire_at": NOW - 4}]
    for claims in late:
        assert verifier(leeway=5.0).verify(token(**claims), KEYS).expires_at == NOW + 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("channels", [1]),
        ("channels", "chat"),
        ("subs", ["chat"]),
        ("subs", {"chat": "r"}),
        ("subs", {"chat": []}),
        ("channel", 7),
        ("channels", {"chat": ["r"]}),
        ("channels", {"chat": True}),
        ("channels", 1),
        ("sub", 7),
        ("exp", "tomorrow"),
        ("exp", True),
        ("aud", {"relay": True}),
        ("iss", ["us"]),
    ],
)
def test_a_claim_of_the_wrong_type_is_named(name: str, value: object) -> None:
    payload = json.dumps({"exp": NOW + 60, name: value}).encode()
    cause, reason = cause_of(signed({"alg": "HS256"}, payload))
    assert (cause, f"$.{name}" in reason) == ("malformed", True)


VALID: Final = token(sub="ann")


@pytest.mark.parametrize(
    "given",
    [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "abc",
        VALID + ".",
        "." + VALID,
        VALID + "=",
        VALID[:-2],
        VALID.replace(".", "..", 1),
        VALID + "\n",
        VALID + "é",
        VALID.replace(".", "=.", 1),
        VALID.replace("e", "+", 1),
        "x" * 8192,
        signed({"alg": "HS256"}, b""),
        signed({"alg": "HS256"}, b"null"),
        signed({"alg": "HS256"}, b"[]"),
        signed({"alg": "HS256"}, b'{"sub":"\xff"}'),
        signed({"alg": "HS256"}, b'{"info":' + b"[" * 4000),
        signed({"alg": "HS256", "crit": ["exp"]}, b"{}"),
        signed({"alg": "HS256", "crit": []}, b"{}"),
        signed({"alg": ["HS256"]}, b"{}"),
        signed({"alg": "HS256", "kid": 7}, b"{}"),
        signed({"typ": "JWT"}, b"{}"),
        signed(["HS256"], b"{}"),
        put_together(b"\xff{", b"{}", b""),
        put_together(b'{"alg":' + b"[" * 4000, b"{}", b""),
    ],
    ids=range(29),
)
def test_what_is_no_token_is_refused(given: str) -> None:
    cause, reason = cause_of(given)
    assert (cause, "can't be read" in reason) == ("malformed", True)
    assert len(given) < 12 or given not in reason


def test_a_changed_token_is_refused() -> None:
    head, payload, signature = VALID.split(".")
    other = token(sub="bob").split(".")
    assert cause_of(f"{head}.{other[1]}.{signature}")[0] == "wrong_signature"
    assert cause_of(f"{head}.{payload}.{other[2]}")[0] == "wrong_signature"
    assert cause_of(f"{head}.{payload}.")[0] == "wrong_signature"


def test_a_client_without_a_name_is_anonymous() -> None:
    """As in Centrifugo, where an empty `sub` says so."""
    assert verifier().verify(token(sub=""), KEYS).user is None


@pytest.mark.parametrize(
    ("claims", "given"),
    [
        ({"channels": ["chat:1", "news"]}, ServerSide({"chat:1": PLAIN_SUBSCRIPTION, "news": PLAIN_SUBSCRIPTION})),
        ({"channels": []}, None),
        ({"channels": None, "subs": {}, "meta": None}, None),
        (
            {"subs": {"a": {"info": {"x": 1}, "data": [2], "override": {"presence": {"value": True}}}, "b": None}},
            ServerSide({"a": ServerSubscription(b'{"x":1}', b"[2]"), "b": PLAIN_SUBSCRIPTION}),
        ),
        (
            {"channels": ["a", "b", "a"], "subs": {"b": {"info": None, "data": 1}}},
            ServerSide({"a": PLAIN_SUBSCRIPTION, "b": ServerSubscription(None, b"1")}),
        ),
        ({"meta": {"tenant": 7}}, ServerSide(NO_SUBSCRIPTIONS, None, b'{"tenant":7}')),
    ],
)
def test_a_token_made_for_centrifugo_subscribes_its_client(claims: dict[str, Any], given: ServerSide | None) -> None:
    assert verifier().verify(token(sub="ann", **claims), KEYS) == Grant("ann", None, NOW + 3600, None, given)


def test_rights_and_subscriptions_may_stand_in_one_token() -> None:
    grant = verifier().verify(token(channels={"chat:*": "rw"}, subs={"news": {}}), KEYS)
    assert (grant.channels, grant.server_side) == ({"chat:*": "rw"}, ServerSide({"news": PLAIN_SUBSCRIPTION}))


def test_a_token_of_one_subscription_opens_no_connection() -> None:
    """As in Centrifugo: its claims are fewer, and who has it need not be let in."""
    cause, reason = cause_of(token(sub="ann", channel="chat:1"))
    assert (cause, "it is for one subscription" in reason) == ("malformed", True)
