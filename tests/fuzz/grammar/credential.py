"""Requests with credentials: tokens and keys, valid or nearly, wherever they may stand."""

from __future__ import annotations

import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from random import Random
from urllib.parse import quote

from tests.fuzz.grammar.http import CHANNELS
from tests.fuzz.grammar.websocket import KEY, frames
from tests.fuzz.mutation import mutate

SECRET = b"the secret of the fuzzer's tokens, of more than 64 bytes, for all three"
CLIENT_KEY = "a-key-of-the-fuzzer"
COOKIE = "session"
FAR = 4_102_444_800
"""The year 2100."""

HASHES = {"HS256": hashlib.sha256, "HS384": hashlib.sha384, "HS512": hashlib.sha512}

HEADERS = (
    *(b'{"alg":"HS256"}', b'{"alg":"HS256","typ":"JWT"}', b'{"alg":"HS384"}', b'{"alg":"HS512"}') * 4,
    b'{"alg":"none"}',
    b'{"alg":"None"}',
    b'{"alg":"RS256"}',
    b'{"alg":"ES256"}',
    b'{"alg":"EdDSA"}',
    b'{"alg":null}',
    b'{"alg":["HS256"]}',
    b"{}",
    b'{"alg":"HS256","kid":"../../etc/passwd"}',
    b'{"alg":"HS256","kid":7}',
    b'{"alg":"HS256","crit":["exp"]}',
    b'{"alg":"HS256","jku":"http://127.0.0.1:1/keys"}',
    b'{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}',
    b'{"alg":"HS256","alg":"none"}',
)

SUBJECTS = ("ann", "ann", "", "a" * 255, "a" * 256, "*", "{sub}", "x", "\u202eann", " ann ", None, 7)
EXPIRIES = (FAR, FAR, FAR, FAR, 1, 0, -1, FAR * 1000, 1e300, "4102444800", None, True, float("inf"))
RIGHTS = (
    {"*": "rw"},
    {"*": "rwph"},
    {"x": "rw", "chat:*": "r"},
    {"x": "", "*": "rw"},
    {"user:{sub}": "rw"},
    {"{sub}": "rw"},
    {"{sub}*": "rw"},
    {"chat*": "rw"},
    {"CHAT:*": "rw", "%78": "rw"},
    {"x": "rr"},
    {"x": "z"},
    {"x": 7},
    {"a*b": "r"},
    {"": "r"},
    {f"p{number}": "r" for number in range(130)},
    ["x"],
    "x",
    None,
)

JSON_TOKENS = (
    b"{",
    b"}",
    b"[",
    b"]",
    b'"',
    b":",
    b",",
    b"null",
    b"true",
    b"1e999",
    b"-1",
    b"\\u0000",
    b"\\ud800",
    b"\xff",
)

TOKENS = (
    b".",
    b"..",
    b"=",
    b"+",
    b"/",
    b"%2E",
    b"%00",
    b"eyJhbGciOiJub25lIn0",
    b"?token=",
    b"&token=",
    b"Authorization: Bearer ",
    b"Authorization: bearer a.b.c\r\n",
    b"Authorization: Basic YTpi\r\n",
    b"Cookie: session=",
    b"Sec-WebSocket-Protocol: bearer.",
    b", bearer.x",
    b"bearer.",
    b"\r\n",
    b"A" * 8200,
    b"\xff",
    CLIENT_KEY.encode(),
)


def encode_part(part: bytes) -> str:
    """Return base64url without padding."""
    return urlsafe_b64encode(part).decode().rstrip("=")


def sign(header: bytes, claims: bytes, algorithm: str = "HS256", secret: bytes = SECRET) -> str:
    """Return a token."""
    signed = f"{encode_part(header)}.{encode_part(claims)}"
    return f"{signed}.{encode_part(hmac.digest(secret, signed.encode(), HASHES[algorithm]))}"


def healthy_token(user: str) -> str:
    """Return the token of a client that may do everything."""
    return sign(b'{"alg":"HS256"}', json.dumps({"sub": user, "exp": FAR, "channels": {"*": "rw"}}).encode())


def token(random: Random) -> str:
    """Return a token that is valid, or wrong in one of the usual ways."""
    header = random.choice(HEADERS)
    given = {"sub": random.choice(SUBJECTS), "exp": random.choice(EXPIRIES), "channels": random.choice(RIGHTS)}
    for name, values in (
        ("nbf", (1, FAR, "x")),
        ("iat", (1, FAR)),
        ("aud", ("a", ["a", "b"], 7)),
        ("iss", ("i", 7)),
        ("info", ({"name": "Ann"}, "x" * 5000, 7)),
        ("expire_at", (0, FAR, 1)),
    ):
        if random.random() < 0.15:
            given[name] = random.choice(values)
    claims = json.dumps({name: value for name, value in given.items() if value is not None}).encode()
    if random.random() < 0.2:
        claims = mutate(claims, random, JSON_TOKENS, [claims])[:3000]
    if random.random() < 0.1:
        header = mutate(header, random, JSON_TOKENS, HEADERS)[:3000]
    algorithm = next((name for name in HASHES if name.encode() in header), "HS256")
    made = sign(header, claims, algorithm, random.choice((SECRET,) * 9 + (b"another",)))
    return made if random.random() < 0.95 else made.rpartition(".")[0] + "."


def request(random: Random) -> bytes:
    """Return a request with a credential, or two."""
    channel = random.choice(CHANNELS)
    query, headers = "", ["Host: a"]
    for _ in range(random.choice((0, 1, 1, 1, 1, 1, 1, 2))):
        credential = CLIENT_KEY if random.random() < 0.15 else token(random)
        place = random.randrange(4)
        if place == 0:
            query += f"&token={quote(credential) if random.random() < 0.1 else credential}"
        elif place == 1:
            headers.append(f"Authorization: {random.choice(('Bearer', 'bearer', 'Basic'))} {credential}")
        elif place == 2:
            headers.append(f"Cookie: a=b; {COOKIE}={credential}")
        else:
            headers.append(f"Sec-WebSocket-Protocol: bearer.{credential}{random.choice(('', ', relay'))}")
    lines = "".join(f"{line}\r\n" for line in headers)
    way = random.choice(("ws", "ws", "ws", "ws", "sse", "poll", "publish"))
    if way == "publish":
        body = "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
        return f"POST /publish/{channel}?{query[1:]} HTTP/1.1\r\n{lines}{body}".encode()
    head = f"GET /{way}/{channel}?wait=0{query} HTTP/1.1\r\n{lines}"
    if way != "ws":
        return f"{head}\r\n".encode()
    upgrade = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n"
    return f"{head}{upgrade}\r\n".encode() + (frames(random) if random.random() < 0.3 else b"")
