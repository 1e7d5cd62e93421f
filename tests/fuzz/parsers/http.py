"""The parsers of HTTP: heads, bodies, request targets with the cursors of polls, and cookies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple
from random import Random
from typing import Any, Final

from relay.auth.credential import find_cookie
from relay.position import Position
from relay.protocols import poll, sse
from relay.protocols.http_body import ChunkedBody
from relay.protocols.http_request import RequestHead, find_head, read_head
from relay.protocols.plain import Plain
from relay.protocols.plain import endpoint as plain
from relay.protocols.request import ConnectRequest, parse_request
from tests.fuzz.grammar import credential, http, websocket
from tests.fuzz.parsers.parser import Parser, Wrong, expect

MAX_HEAD_BYTES: Final = 1500
MAX_HEADERS: Final = 20
DEFAULT_CHANNEL: Final = "lobby"
COOKIE: Final = credential.COOKIE

HEAD_STATUSES: Final = (*range(400, 500), 501, 505)
"""Besides what the client has done wrong: codings and versions of HTTP that aren't spoken here."""


def make_head(random: Random) -> bytes:
    """Return the head of a request, perhaps with a little behind it."""
    made = random.choice((http.request, http.request, websocket.handshake, credential.request))(random)
    head, end, rest = made.partition(b"\r\n\r\n")
    return head + end + rest[: random.choice((0, 0, 10))]


def read_first_head(data: bytes) -> RequestHead | None:
    """Return the head at the beginning of some data; None: it isn't complete."""
    return _head(data, find_head(bytearray(data), MAX_HEAD_BYTES))


def read_head_in_pieces(pieces: Sequence[bytes]) -> RequestHead | None:
    """Return the head, looking for its end after each piece."""
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        if (size := find_head(buffer, MAX_HEAD_BYTES)) is not None:
            return _head(bytes(buffer), size)
    return None


def _head(data: bytes, size: int | None) -> RequestHead | None:
    if size is None:
        return None
    head = read_head(data[:size], MAX_HEADERS)
    expect(head, RequestHead)
    if read_head(head.raw, MAX_HEADERS + 1) != head:
        raise Wrong(f"the next parser reads another request: {head}")
    return head


def make_body(random: Random) -> bytes:
    """Return a body in chunks."""
    return random.choice(http.CHUNKED)[: random.choice((200, 200, 200, 5000))]


def read_body(data: bytes) -> tuple[bytes, bool, bytes]:
    """Return the data of a body in chunks, whether it is complete, and what is behind it."""
    return read_body_in_pieces((data,))


def read_body_in_pieces(pieces: Sequence[bytes]) -> tuple[bytes, bool, bytes]:
    """Return the same for a body that comes in pieces."""
    body, buffer, taken = ChunkedBody(), bytearray(), b""
    for piece in pieces:
        buffer += piece
        left = -1
        while len(buffer) != left and not body.complete:
            left = len(buffer)
            taken += _data_of(body.take(buffer), body.complete)
    return taken, body.complete, bytes(buffer)


def _data_of(taken: bytes, complete: bool) -> bytes:
    """Return the data of what `ChunkedBody.take` has returned: one chunk, and perhaps the last one."""
    if complete:
        if not taken.endswith(b"0\r\n\r\n"):
            raise Wrong(f"a complete body has no end: {taken!r}")
        taken = taken[:-5]
    if not taken:
        return b""
    size, _, rest = taken.partition(b"\r\n")
    if len(rest) != int(size, 16) + 2 or not rest.endswith(b"\r\n"):
        raise Wrong(f"the body is passed on as {taken!r}")
    return rest[:-2]


CURSORS: Final = (
    b"AAAAAAAAAAAAAAAAAAAAAA.0",
    b"abcdefghijklmnopqrstu_.999999999999999",
    b"AAAAAAAAAAAAAAAAAAAAAA.",
    b".1",
    b"e:7",
    b"Zz_-09:9007199254740991",
    b"e:9007199254740992",
    b"e:07",
)
QUERIES: Final = (
    b"wait=0",
    b"wait=25",
    b"wait=25.001",
    b"wait=00.5",
    b"echo=1",
    b"echo=0",
    b"history=20",
    b"history=-1",
    b"last_event_id=e:7",
    b"last_event_id=",
    b"user=ann",
    b"a=b;c",
    b"%=",
)
TARGET_TOKENS: Final = (
    *http.TOKENS[:18],
    *CURSORS,
    *QUERIES,
    b"&wait=",
    b"&cursor=",
    b"&token=",
    b"%F0%9F",
    b"%E2%80%8D",
    b"+",
    b";",
)


def make_target(random: Random) -> bytes:
    """Return a request target, with parameters of all ways in."""
    path = random.choice(http.TARGETS if random.random() < 0.5 else ("/ws/x", "/sse/x", "/poll/x", "/poll/chat:1"))
    pairs = random.sample(QUERIES, random.choice((0, 1, 1, 2, 5)))
    if random.random() < 0.5:
        pairs.append(b"cursor=" + random.choice(CURSORS))
    return path.encode() + (b"?" if pairs else b"") + b"&".join(pairs)


def read_target(data: bytes) -> tuple[Any, ...]:
    """Return what a request target asks for."""
    request = parse_request(data.decode("latin-1"), {}, "192.0.2.1")
    expect(request, ConnectRequest)
    root = request.path[1:].partition("/")[0]
    if root == "poll":
        asked = poll.open_session(request, DEFAULT_CHANNEL)
        expect(asked, poll.Poll)
        if not 0 <= asked.wait <= poll.MAX_WAIT_SECONDS:
            raise Wrong(f"a wait of {asked.wait} seconds")
        if isinstance(asked.cursor, Position) and str(asked.cursor) != request.query["cursor"]:
            raise Wrong(f"the cursor is read as {asked.cursor}")
        if isinstance(asked.cursor, poll.Cursor) and str(asked.cursor) != request.query["cursor"]:
            _, _, position = request.query["cursor"].partition(".")
            if int(position) != asked.cursor.position:
                raise Wrong(f"the cursor is read as {asked.cursor}")
        return (request.path, request.query, astuple(asked))
    opened = sse.open_session(request, DEFAULT_CHANNEL) if root == "sse" else plain.open(request, DEFAULT_CHANNEL)
    expect(opened, (sse.ServerSentEvents, Plain))
    expect(opened.channel, str)
    expect(opened.resume, (int, Position))
    return (request.path, request.query, opened.channel, opened.echo, opened.resume)


def make_cookies(random: Random) -> bytes:
    """Return the value of a `Cookie` header."""
    pairs = (
        "a=b",
        "session=Abc123Abc123",
        'session="Abc123Abc123"',
        "session=",
        "session",
        "=x",
        "session=other999other",
    )
    return "; ".join(random.choices(pairs, k=random.choice((0, 1, 2, 3, 10)))).encode()


def read_cookies(data: bytes) -> str | None:
    """Return the credential in the value of a `Cookie` header."""
    found = find_cookie(data.decode("latin-1"), COOKIE)
    expect(found, (str, type(None)))
    if found == "":
        raise Wrong("a cookie without a value")
    return found


PARSERS: Final = {
    "head": Parser(
        20, make_head, http.TOKENS, read_first_head, read_head_in_pieces, statuses=HEAD_STATUSES, max_bytes=3000
    ),
    "body": Parser(8, make_body, http.TOKENS, read_body, read_body_in_pieces, statuses=(400,), max_bytes=10_000),
    "target": Parser(15, make_target, TARGET_TOKENS, read_target),
    "cookie": Parser(
        3,
        make_cookies,
        (b"; ", b"session=", b'"', b"=", b"\xff"),
        read_cookies,
        secrets=lambda data: [pair.rpartition("=")[2].strip('"') for pair in data.decode("latin-1").split("; ")],
    ),
}
