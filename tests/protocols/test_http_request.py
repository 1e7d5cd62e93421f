"""The head of a request: what is read out of it, and what is refused."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpRequestParser
from hypothesis import example, given, strategies

from relay.errors import Refused
from relay.protocols.http_request import METHODS, RequestHead, find_head, read_head

HOST = b"Host: x\r\n"
GET = b"GET / HTTP/1.1\r\n" + HOST


def read(raw: bytes) -> RequestHead:
    return read_head(raw + b"\r\n", 100)


@pytest.mark.parametrize(
    ("raw", "length"),
    [
        (GET, 0),
        (b"GET / HTTP/1.0\r\n", 0),
        (GET + b"Content-Length: 0\r\n", 0),
        (GET + b"content-length:\t 17 \t\r\n", 17),
        (GET + b"Transfer-Encoding: chunked\r\n", None),
        (GET + b"TRANSFER-ENCODING: Chunked \r\n", None),
        (GET + b"X-Content-Length: 5\r\n", 0),
        (GET + b"X: \r\nContent-Length: 2\r\n", 2),
        (GET + b"X: Content-Length: 5\r\n", 0),
    ],
)
def test_the_body_has_one_length(raw: bytes, length: int | None) -> None:
    head = read(raw)
    assert (head.length, head.raw) == (length, raw + b"\r\n")


@pytest.mark.parametrize(
    ("raw", "status", "reason"),
    [
        (b"", 400, "request line"),
        (b"GET /\r\n", 400, "request line"),
        (b"GET / HTTP/1.1 \r\n" + HOST, 400, "request line"),
        (b"GET  / HTTP/1.1\r\n" + HOST, 400, "request line"),
        (b"GET /a b HTTP/1.1\r\n" + HOST, 400, "request line"),
        (b"GET /a\tb HTTP/1.1\r\n" + HOST, 400, "request line"),
        (b"GET /a#b HTTP/1.1\r\n" + HOST, 400, "request target"),
        (b"GET / HTTP/1.1\rX\r\n" + HOST, 400, "request line"),
        (b"G:T / HTTP/1.1\r\n" + HOST, 400, "request line"),
        (b"GET / http/1.1\r\n" + HOST, 400, "request line"),
        (b"PRI * HTTP/2.0\r\n", 505, "HTTP/1.1"),
        (b"GET / HTTP/1.2\r\n" + HOST, 505, "HTTP/1.1"),
        (b"GET / HTTP/0.9\r\n", 505, "HTTP/1.1"),
        (b"BREW / HTTP/1.1\r\n" + HOST, 405, "method"),
        (b"CONNECT x:80 HTTP/1.1\r\n" + HOST, 405, "method"),
        (b"get / HTTP/1.1\r\n" + HOST, 405, "method"),
        (GET + b"broken\r\n", 400, "a header"),
        (GET + b"a : b\r\n", 400, "a header"),
        (GET + b" a: b\r\n", 400, "a header"),
        (GET + b"a: b\r\n folded\r\n", 400, "a header"),
        (GET + b": b\r\n", 400, "a header"),
        (GET + b"a: b\rc\r\n", 400, "a header"),
        (GET + b"a: b\0c\r\n", 400, "a header"),
        (GET + b"a\xff: b\r\n", 400, "a header"),
        (GET + b"a: b\x0bc\r\n", 400, "a header"),
        (b"GET / HTTP/1.1\r\n", 400, "Host"),
        (GET + HOST, 400, "Host"),
        (b"GET / HTTP/1.0\r\n" + HOST + HOST, 400, "Host"),
        (b"GET / HTTP/1.1\r\nHost: a b\r\n", 400, "Host"),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n", 400, "Host"),
        (b"GET / HTTP/1.1\r\nHost: u@x\r\n", 400, "Host"),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n", 400, "Host"),
        (b"GET / HTTP/1.1\r\nHost: \xff\r\n", 400, "Host"),
        (b"GET / HTTP/1.1\r\nHost: [::1\r\n", 400, "Host"),
        (GET + b"Content-Length: 1\r\nContent-Length: 1\r\n", 400, "Content-Length"),
        (GET + b"Content-Length: 1, 1\r\n", 400, "Content-Length"),
        (GET + b"Content-Length: +1\r\n", 400, "Content-Length"),
        (GET + b"Content-Length: 0x1\r\n", 400, "Content-Length"),
        (GET + b"Content-Length: -1\r\n", 400, "Content-Length"),
        (GET + b"Content-Length: \r\n", 400, "Content-Length"),
        (GET + b"Content-Length: 1_0\r\n", 400, "Content-Length"),
        (GET + b"Content-Length: " + b"9" * 19 + b"\r\n", 400, "Content-Length"),
        (GET + b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400, "either"),
        (GET + b"Transfer-Encoding: gzip, chunked\r\n", 501, "chunked"),
        (GET + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 501, "chunked"),
        (GET + b"Transfer-Encoding: chunked, chunked\r\n", 501, "chunked"),
        (GET + b"Transfer-Encoding: , chunked\r\n", 501, "chunked"),
        (GET + b"Transfer-Encoding: chunked,\r\n", 400, "where the body ends"),
        (GET + b"Transfer-Encoding:\r\nTransfer-Encoding: chunked\r\n", 501, "chunked"),
        (GET + b"Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n", 400, "where the body ends"),
        (GET + b"Transfer-Encoding: chunked, gzip\r\n", 400, "where the body ends"),
        (GET + b"Transfer-Encoding: gzip\r\n", 400, "where the body ends"),
        (GET + b"Transfer-Encoding: xchunked\r\n", 400, "where the body ends"),
        (GET + b"Transfer-Encoding: chunked;a=b\r\n", 400, "where the body ends"),
        (GET + b"Transfer-Encoding: \x0bchunked\r\n", 400, "a header"),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n", 400, "where the body ends"),
        (GET + b"Expect: something\r\n", 417, "expectation"),
        (b"GET ws HTTP/1.1\r\n" + HOST, 400, "request target"),
        (b"GET * HTTP/1.1\r\n" + HOST, 400, "request target"),
        (b"GET ftp://x/ HTTP/1.1\r\n" + HOST, 400, "request target"),
        (b"GET http:///a HTTP/1.1\r\n" + HOST, 400, "request target"),
        (b"GET http://u:p@x/ HTTP/1.1\r\n" + HOST, 400, "request target"),
        (b"GET http://x/ HTTP/1.1\r\n", 400, "Host"),
    ],
)
def test_what_can_be_understood_in_two_ways_is_refused(raw: bytes, status: int, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        read(raw)
    assert refused.value.status == status
    assert reason in refused.value.reason


def test_headers_are_counted() -> None:
    assert read_head(GET + b"a: b\r\n" * 9 + b"\r\n", 10)
    with pytest.raises(Refused) as refused:
        read_head(GET + b"a: b\r\n" * 10 + b"\r\n", 10)
    assert refused.value.status == 431


@pytest.mark.parametrize(
    ("target", "path", "host"),
    [
        (b"http://y/ws/a?b=c", b"/ws/a?b=c", b"y"),
        (b"HTTPS://[::1]:80/a", b"/a", b"[::1]:80"),
        (b"http://y", b"/", b"y"),
        (b"http://y?b", b"/?b", b"y"),
    ],
)
def test_the_host_of_a_whole_url_counts(target: bytes, path: bytes, host: bytes) -> None:
    """RFC 9112, section 3.2.2; what `Host` says is ignored."""
    head = read(b"GET " + target + b" HTTP/1.1\r\nA: b\r\nhost: x\r\nC: d\r\n")
    assert head.target == path
    assert head.raw == b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\nA: b\r\nC: d\r\n\r\n"


@pytest.mark.parametrize(
    ("method", "fields", "websocket", "left"),
    [
        (
            b"GET",
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
            True,
            b"Upgrade: websocket\r\nConnection: Upgrade\r\n",
        ),
        (b"GET", b"Upgrade: WebSocket\r\n", True, b"Upgrade: WebSocket\r\n"),
        (
            b"GET",
            b"Upgrade: websocket, h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: a\r\n",
            True,
            b"Connection: Upgrade\r\nUpgrade: websocket\r\n",
        ),
        (b"GET", b"Upgrade: h2c\r\nUpgrade: websocket\r\n", True, b"Upgrade: websocket\r\n"),
        (b"GET", b"Upgrade: h2c\r\nConnection: Upgrade\r\n", False, b""),
        (b"POST", b"Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\n", False, b"Connection: keep-alive\r\n"),
        (b"POST", b"Connection: close\r\nUpgrade: foo, websocket\r\n", False, b"Connection: close\r\n"),
        (b"GET", b"Upgrade: notwebsocket\r\n", False, b""),
        (b"GET", b"Upgrade: \r\n", False, b""),
        (b"GET", b"Connection: upgrade\r\n", False, b"Connection: upgrade\r\n"),
    ],
)
def test_only_a_websocket_is_taken_up(method: bytes, fields: bytes, websocket: bool, left: bytes) -> None:
    """RFC 9110, section 7.8: a server may ignore an `Upgrade`."""
    start = method + b" / HTTP/1.1\r\n" + HOST
    head = read(start + fields)
    assert (head.websocket, head.raw) == (websocket, start + left + b"\r\n")


def find(data: bytes, limit: int = 100) -> int | str | None:
    try:
        return find_head(bytearray(data), limit)
    except Refused as refused:
        return f"{refused.status}"


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (GET, None),
        (GET + b"\r\n", len(GET) + 2),
        (GET + b"\r\nbody\n\n", len(GET) + 2),
        (b"GET / HTTP/1.1\nHost: x\n\n", "400"),
        (GET + b"a: b\n\r\n\r\n", "400"),
        (b"x" * 103, None),
        (b"x" * 104, "431"),
        (b"x" * 100 + b"\r\n\r\n", 104),
        (b"x" * 101 + b"\r\n\r\n", "431"),
    ],
)
def test_the_end_of_a_head(data: bytes, found: int | str | None) -> None:
    assert find(data) == found


PIECES = [b"GET / HTTP/1.1\r\n", b"Host: x", b"\r\n", b"\r", b"\n", b"x" * 40, b"\0", b" ", b"a: b\r\n"]


@given(strategies.lists(strategies.sampled_from(PIECES), max_size=12).map(b"".join), strategies.data())
def test_it_is_the_same_however_the_bytes_come(data: bytes, draw: strategies.DataObject) -> None:
    sizes = [*sorted(draw.draw(strategies.lists(strategies.integers(0, len(data)), max_size=6))), len(data)]
    answers = [answer for answer in (find(data[:size]) for size in sizes) if answer is not None]
    assert (answers[0] if answers else None) == find(data)


class _Nowhere(asyncio.Protocol):
    """A protocol that aiohttp's parser may pause."""

    def pause_reading(self) -> None:
        raise AssertionError("no body is that large")

    def resume_reading(self, resume_parser: bool = True) -> None:
        """Do nothing: it was not paused. aiohttp asks for it at the end of each body."""


NAMES = [b"A", b"Content-Length", b"Transfer-Encoding", b"Upgrade", b"Connection", b"Host", b"Expect", b"a b", b""]
VALUES = [
    b"",
    b"5",
    b"+5",
    b"chunked",
    b"gzip, chunked",
    b"h2c",
    b"websocket",
    b"upgrade",
    b"close",
    b"x",
    b"a\tb",
    b"\xff",
    b"\0",
]
FIELDS = strategies.lists(
    strategies.tuples(
        strategies.sampled_from(NAMES),
        strategies.sampled_from([b": ", b":", b" : ", b":\t"]),
        strategies.sampled_from(VALUES),
        strategies.sampled_from([b"\r\n", b" \r\n", b"\n", b"\r", b"\r\n "]),
    ).map(b"".join),
    max_size=4,
)


@given(
    method=strategies.sampled_from([*METHODS, b"CONNECT", b"FOO"]),
    target=strategies.sampled_from(
        [b"/", b"/a?b", b"*", b"http://y/a", b"y:80", b"/\xff", b'/"<>^`{|}\\', b"/%zz", b"//", b"/?[]"]
    ),
    version=strategies.sampled_from([b"1.1", b"1.0", b"2.0"]),
    fields=FIELDS,
)
@example(method=b"POST", target=b"/", version=b"1.1", fields=[b"Content-Length: 5\r\n"])
@example(method=b"POST", target=b"/", version=b"1.1", fields=[b"Transfer-Encoding: chunked\r\n"])
async def test_aiohttp_reads_what_we_let_through_as_we_do(
    method: bytes, target: bytes, version: bytes, fields: list[bytes]
) -> None:
    """The one thing that smuggling needs is two readers who disagree."""
    raw = method + b" " + target + b" HTTP/" + version + b"\r\n" + HOST + b"".join(fields) + b"\r\n"
    try:
        size = find_head(bytearray(raw), 10_000)
        if size is None:
            return
        head = read_head(raw[:size], 100)
    except Refused:
        return
    if head.websocket:
        return
    body = {None: b"5\r\nhello\r\n0\r\n\r\n", 0: b""}.get(head.length, b"h" * (head.length or 0))
    parser = HttpRequestParser(
        _Nowhere(),  # type: ignore[arg-type]  # all that is used of one
        asyncio.get_running_loop(),
        2**16,
    )
    try:
        messages, upgraded, tail = parser.feed_data(head.raw + body)
        assert (upgraded, tail) == (False, b"")
        ((message, payload),) = messages
        assert message.method == method.decode()
        assert payload.is_eof()
        assert await payload.read() == (b"hello" if head.length is None else body)
        if not message.should_close:  # else nothing is handed on behind it
            messages, _, _ = parser.feed_data(GET + b"\r\n")
            assert [message.path for message, _ in messages] == ["/"]
    except HttpProcessingError as error:
        raise AssertionError(f"aiohttp refuses what was let through: {error}") from None
