"""The parsers of credentials and of what they give: tokens and their claims, keys, and rights by patterns."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64decode
from collections.abc import Sequence
from random import Random
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from websockets.datastructures import Headers

from relay.auth.api_keys import ApiKeyAuthenticator
from relay.auth.auth_keys import read_auth_key
from relay.auth.authenticator import Identity, check_subscribe
from relay.auth.credential import take_bearer
from relay.auth.keys import public_key, secret_key
from relay.auth.rights import PatternRights, Right, RightsError, compile_patterns
from relay.auth.server_side import check_server_side
from relay.auth.signed_claims import TokenRules
from relay.auth.subscription_tokens import SubscriptionGrant, SubscriptionTokens
from relay.auth.tokens import TokenVerifier
from relay.authenticators.credentials import Credentials
from relay.authenticators.key import SharedKeys
from relay.channel import check_channel
from relay.errors import ChannelError, NotAllowed
from relay.protocols.request import parse_request
from relay.protocols.request_errors import TokenRefused
from tests.fuzz.grammar import credential, http
from tests.fuzz.grammar.credential import COOKIE, SECRET, encode_part, sign
from tests.fuzz.grammar.json_text import vary
from tests.fuzz.parsers.opening import secrets_of
from tests.fuzz.parsers.parser import Parser, Wrong, expect

NOW: Final = 1_800_000_000.0
_DEFAULTS: Final = {"user:{sub}": "rw", "open:*": "r"}
_CREDENTIALS: Final = Credentials("token", COOKIE, _DEFAULTS)
_PRIVATE: Final = ec.derive_private_key(20_260_101, ec.SECP256R1())
_TOKEN_KEYS: Final = [secret_key(SECRET.decode()), public_key(_PRIVATE.public_key())]
_RULES: Final = TokenRules()
_verifier: Final = TokenVerifier(_RULES, lambda: NOW)
_subscriptions: Final = SubscriptionTokens(_RULES, lambda: NOW)
_CHANNELS: Final = ("x", "chat:1", "user:ann", "open:a")


def sign_with_curve(header: bytes, claims: bytes) -> str:
    """Return a token of ES256; the same each time for the same claims."""
    signed = f"{encode_part(header)}.{encode_part(claims)}"
    made = _PRIVATE.sign(signed.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    return f"{signed}.{encode_part(b''.join(part.to_bytes(32, 'big') for part in decode_dss_signature(made)))}"


def make_token(random: Random) -> bytes:
    """Return a token."""
    chance = random.random()
    if chance < 0.6:
        return credential.token(random).encode()
    if chance < 0.94:
        return sign(random.choice(credential.HEADERS[:1]), make_claims(random)).encode()
    return sign_with_curve(b'{"alg":"ES256"}', make_claims(random)).encode()


def make_claims(random: Random) -> bytes:
    """Return the claims of a token."""
    choices: tuple[tuple[str, Sequence[Any]], ...] = (
        ("sub", credential.SUBJECTS),
        ("exp", credential.EXPIRIES),
        ("channels", (*credential.RIGHTS, ["x"], ["x", "chat:1", "x"], [" "], [7])),
        (
            "subs",
            (None, {"x": {}}, {"chat:1": {"info": 1, "data": {"a": 2}, "override": {}}, "y": None}, {"": {}}, ["x"]),
        ),
        ("meta", (None, {}, {"tenant": 7}, [1])),
        ("info", ({"name": "Ann"}, None, 7, "\u20ac")),
        ("expire_at", (credential.FAR, 0)),
        ("nbf", (1, credential.FAR)),
    )
    # The first of each is valid.
    given = {name: values[0] if random.random() < 0.8 else random.choice(values) for name, values in choices}
    made = json.dumps({name: value for name, value in given.items() if value is not None}).encode()
    return vary(made, random) if random.random() < 0.4 else made


def read_token(data: bytes) -> tuple[Any, ...]:
    """Return what a token gives: the name, the end, what others see, and the rights in a few channels."""
    token = data.decode("latin-1")
    grant = _verifier.verify(token, _TOKEN_KEYS)
    if not _is_signed(token):
        raise Wrong("a token passes that nobody has signed")
    if TokenVerifier(_RULES, lambda: NOW).verify(token, _TOKEN_KEYS) != grant:
        raise Wrong("another verifier gives something else")
    return _given(_CREDENTIALS.identity(grant))


def read_claims(data: bytes) -> tuple[Any, ...]:
    """Return what a token with these claims gives."""
    return read_token(sign(b'{"alg":"HS256"}', data).encode())


def make_subscription(random: Random) -> bytes:
    """Return the claims of a token for a subscription."""
    choices = (
        ("sub", ("ann", "bob", "", 7)),
        ("channel", ("x", "y", "", None, 7)),
        ("exp", credential.EXPIRIES),
        ("info", (None, {"name": "Ann"}, "x" * 5000)),
        ("data", (None, [1])),
        ("client", (None, "", "a")),
    )
    given = {name: values[0] if random.random() < 0.8 else random.choice(values) for name, values in choices}
    made = json.dumps({name: value for name, value in given.items() if value is not None}).encode()
    return vary(made, random) if random.random() < 0.4 else made


def read_subscription(data: bytes) -> tuple[Any, ...]:
    """Return what a token with these claims gives ann in the channel x."""
    grant = _subscriptions.verify(sign(b'{"alg":"HS256"}', data), _TOKEN_KEYS, "x", "ann")
    expect(grant, SubscriptionGrant)
    claims = json.loads(data.decode(errors="replace"))  # in claims that are not read anything may stand
    if (claims.get("channel"), claims.get("sub")) != ("x", "ann"):
        raise Wrong("a token of another channel or user passes")
    return grant.info, grant.data, grant.expires_at


def _is_signed(token: str) -> bool:
    """Return whether a token that was accepted has one of the four signatures that it may have."""
    signed, _, encoded = token.rpartition(".")
    signature = urlsafe_b64decode(encoded + "==")
    if signature in [hmac.digest(SECRET, signed.encode(), digest) for digest in credential.HASHES.values()]:
        return True
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
    try:
        _PRIVATE.public_key().verify(encode_dss_signature(r, s), signed.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _given(identity: Identity) -> tuple[Any, ...]:
    expect(identity, Identity)
    expect(identity.rights, PatternRights)
    may = [(identity.rights.may_subscribe(name), identity.rights.may_publish(name)) for name in _CHANNELS]
    if identity.server_side is not None:
        check_server_side(identity.server_side)
        hidden = [name for name in identity.server_side.subscriptions if not _may_hear(identity, name)]
        if hidden:
            raise Wrong("the server subscribes a client to what it may not hear")
    return identity.user, identity.expires_at, identity.info, may, identity.server_side


def _may_hear(identity: Identity, channel: str) -> bool:
    try:
        check_subscribe(identity, channel)
    except NotAllowed:
        return False
    return True


_KEYS: Final = SharedKeys(
    [read_auth_key(f"{credential.CLIENT_KEY};user=ann;chat:*=rw", True)], Credentials("key", COOKIE, _DEFAULTS)
)
_BACK_ENDS: Final = ApiKeyAuthenticator([http.API_KEY])


def make_keyed(random: Random) -> bytes:
    """Return the target and the headers of a request with a key or a token, each in a line of its own."""
    key = random.choice((credential.CLIENT_KEY, credential.CLIENT_KEY, "another-key-0123456789", ""))
    headers = random.sample(
        (
            f"Authorization: Bearer {key}",
            f"Cookie: a=b; {COOKIE}={key}",
            f"Sec-WebSocket-Protocol: bearer.{key}, relay",
            f"X-API-Key: {http.API_KEY}",
            f"Authorization: apikey {http.API_KEY}",
        ),
        random.choice((0, 1, 1, 1, 2, 3)),
    )
    return "\n".join((random.choice(("/ws/x", "/ws/x", f"/ws/x?token={key}")), *headers)).encode()


def read_keyed(data: bytes) -> tuple[Any, ...]:
    """Return whose key a request has, and whether it is a back end's."""
    target, *lines = data.decode("latin-1").split("\n")
    headers = Headers()
    for line in lines:
        name, _, value = line.partition(":")
        headers.set_insecure(name, value.strip(" \t"))
    offered = ",".join(headers.get_all("Sec-WebSocket-Protocol")).split(",")
    _, bearer = take_bearer([name.strip() for name in offered])
    identity = _KEYS.identify(parse_request(target, headers, "192.0.2.1", bearer))
    if credential.CLIENT_KEY.encode() not in data and b"%" not in data:
        raise Wrong("a request passes without the key")
    return _given(identity)


def read_api_key(data: bytes) -> bool:
    """Return whether a request is of a back end."""
    headers = dict(line.partition(": ")[::2] for line in data.decode("utf-8", "surrogateescape").split("\n"))
    found = _BACK_ENDS.identify(headers)
    expect(found, (Identity, type(None)))
    if found is not None and http.API_KEY.encode() not in data:
        raise Wrong("a request passes without the key")
    return found is not None


PATTERNS: Final = (
    "x",
    "chat:*",
    "*",
    "user:{sub}",
    "user:{sub}:*",
    "{sub}",
    "a*b",
    "{",
    "caf\u00e9:*",
    "p" * 255,
    "\u202e",
    "",
)
LETTERS: Final = ("r", "rw", "rwph", "", "rr", "z", "w")
PATTERN_TOKENS: Final = (
    b"*",
    b"{sub}",
    b"{",
    b"}",
    b"=",
    b"\n",
    b":",
    b"rw",
    b"\xe2\x80\x8d",
    b"\xf0\x9f\x98\x80",
    b" ",
)


def make_patterns(random: Random) -> bytes:
    """Return a channel, the name of a user, and patterns with their letters, each in a line of its own."""
    lines = [random.choice(_CHANNELS), random.choice(("", "ann", "*", "a{sub}"))]
    lines += [f"{random.choice(PATTERNS)}={random.choice(LETTERS)}" for _ in range(random.choice((0, 1, 2, 3, 130)))]
    return "\n".join(lines).encode()


def read_patterns(data: bytes) -> tuple[Any, ...]:
    """Return what patterns allow a user in a channel."""
    name, user, *lines = (*data.decode(errors="replace").split("\n"), "")[: 2 + 200]
    channel = check_channel(name)
    given = {pattern: letters for pattern, separator, letters in (line.rpartition("=") for line in lines) if separator}
    patterns = compile_patterns(given, _DEFAULTS)
    allowed = patterns.allowed(channel, user or None)
    expect(allowed, frozenset)
    if PatternRights(patterns, user or None).allowed(channel) != allowed:
        raise Wrong("what a client keeps of its patterns gives other rights")
    rule = patterns.deciding(channel, user or None)
    if rule is None or rule.allowed != allowed:
        if allowed:
            raise Wrong("rights without a rule")
    elif f"{rule.pattern}={''.join(given.get(rule.pattern, _DEFAULTS.get(rule.pattern, '')))}" == "=":
        raise Wrong(f"the rule {rule.pattern!r} was not given")
    return tuple(right in allowed for right in Right)


def _parts(data: bytes) -> Sequence[str]:
    return data.decode("latin-1").split(".")


def _all(data: bytes) -> Sequence[str]:
    return secrets_of(data.replace(b"\n", b"\r\n"))


PARSERS: Final = {
    "token": Parser(
        8, make_token, credential.TOKENS, read_token, statuses=(401,), secrets=_parts, max_bytes=4000, untouched=0.2
    ),
    "claims": Parser(10, make_claims, credential.JSON_TOKENS, read_claims, statuses=(401,), untouched=0.4),
    "subscription": Parser(
        6, make_subscription, credential.JSON_TOKENS, read_subscription, errors=(TokenRefused,), untouched=0.4
    ),
    "key": Parser(8, make_keyed, credential.TOKENS, read_keyed, statuses=(400, 401), secrets=_all),
    "api-key": Parser(4, make_keyed, credential.TOKENS, read_api_key, errors=()),
    "pattern": Parser(8, make_patterns, PATTERN_TOKENS, read_patterns, errors=(RightsError, ChannelError)),
}
