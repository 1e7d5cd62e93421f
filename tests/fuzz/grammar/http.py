"""HTTP requests: heads and bodies that are valid, nearly valid, or famous for being read in two ways."""

from __future__ import annotations

from random import Random

CHANNELS = ("x", "chat:1", "a/b", "lobby", "quiet")

API_KEY = "a-key-of-the-server-api"

TARGETS = (
    "/",
    "/ws",
    "/healthz",
    "/readyz",
    "/metrics",
    "/nothing",
    "/publish",
    "/publish/x",
    "/publish/chat:1",
    "/publish/%E2%82%AC",
    "/publish/a%2Fb",
    "/sse/x",
    "/sse",
    "/sse/chat:1?user=ann",
    "/poll/x?wait=0",
    "/poll/x?wait=25",
    "/poll/chat:1?wait=0.5&cursor=AAAAAAAAAAAAAAAAAAAAAA.0",
    "/poll?wait=0",
    "/connection/http_stream",
    "/connection/sse?cf_connect=%7B%22id%22%3A1%2C%22connect%22%3A%7B%7D%7D",
    "/connection/sse",
    "/connection/uni_sse",
    "/connection/uni_sse?cf_connect=%7B%7D",
    "/connection/uni_http_stream",
    "/emulation",
    "/api",
    "/api/publish",
    "/api/info",
    "/api/channels",
    "/api/batch",
    "/api/openapi.json",
    "/api/disconnect",
    "/client/relay-client.js",
    "http://127.0.0.1/healthz",
    "http://a.example:80/poll/x?wait=0",
    "*",
    "/sse/%FF",
    "/sse/%00",
    "/sse//x",
    "//x/sse",
    "/poll/" + "y" * 255,
    "/poll/" + "y" * 256,
)

METHODS = ("GET", "GET", "GET", "POST", "POST", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE", "CONNECT", "get", "PRI")

HEADERS = (
    "Accept: */*",
    "Accept-Encoding: gzip, deflate",
    "Connection: keep-alive",
    "Connection: close",
    "Connection: Upgrade",
    "Connection: Upgrade, HTTP2-Settings",
    "Content-Encoding: gzip",
    "Content-Type: application/json",
    "Content-Type: application/octet-stream",
    "Content-Type: text/plain; charset=utf-8",
    "Content-Type: text/plain; charset=latin-1",
    "Content-Type: multipart/form-data; boundary=x",
    "Cookie: a=b; c=d",
    "Expect: 100-continue",
    "Expect: 200-ok",
    "Forwarded: for=192.0.2.1;proto=https",
    'Forwarded: for="[2001:db8::1]:99", for=unknown',
    "Host: a:b",
    "Host: other.example",
    "HTTP2-Settings: AAMAAABkAAQAAP__",
    "If-None-Match: *",
    "Origin: https://app.example.com",
    "Origin: null",
    "Origin: http://127.0.0.1",
    "Access-Control-Request-Method: POST",
    "Access-Control-Request-Headers: content-type",
    "Range: bytes=0-3",
    "TE: trailers",
    "Trailer: x",
    "Upgrade: h2c",
    "Upgrade: websocket",
    "Upgrade: foo, websocket",
    "User-Agent: fuzz",
    "X-Forwarded-For: 192.0.2.1, 10.0.0.1",
    "X-Forwarded-For: nonsense",
    "X-API-Key: " + API_KEY,
    "Authorization: apikey " + API_KEY,
    "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.",
    "X-Long: " + "l" * 3000,
    "Content-Length: 5",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding: identity",
    "Transfer-Encoding : chunked",
    " folded: line",
    "Content-Length: +5",
    "Content-Length: 5, 5",
)

BODIES = (
    b"",
    b"hello",
    b"\xff\xfe",
    "\u20ac".encode(),
    b'{"channel": "x", "data": {"a": 1}}',
    b'{"commands": [{"publish": {"channel": "x", "data": 1}}, {"info": {}}]}',
    b'{"user": "ann"}',
    b'{"id":1,"connect":{}}',
    b'{"id":1,"connect":{}}\n{"id":2,"subscribe":{"channel":"x"}}\n{"id":3,"publish":{"channel":"x","data":1}}',
    b'{"token":"x","subs":{"x":{"recover":true}}}',
    b'{"session":"x","node":"0123456789abcdef","data":"{}"}',
    b"\x04\x08\x01\x22\x00",
    b"[" * 200,
    b"x" * 5000,
    b"x" * 65536,
    b"x" * 65537,
    b"x" * 300_000,
)

CHUNKED = (
    b"5\r\nhello\r\n0\r\n\r\n",
    b"1\r\na\r\n1;x=y\r\nb\r\n0\r\n\r\n",
    b"5 ; a\r\nhello\r\n00\r\nTrailer: x\r\n\r\n",
    b"5\r\nhelloX\r\n0\r\n\r\n",
    b"5\nhello\n0\n\n",
    b"-1\r\n\r\n0\r\n\r\n",
    b"fffffffffffffff0\r\n",
    b"1\r\na\r\n" * 400 + b"0\r\n\r\n",
    b"0\r\n" + b"a: b\r\n" * 2000 + b"\r\n",
)

TOKENS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\0",
    b" ",
    b"\t",
    b":",
    b"%",
    b"%00",
    b"%2F",
    b"%F0%9F%98%80",
    b"?",
    b"#",
    b"&",
    b"=",
    b"\xc3\xa9",
    b"\xe2\x80\xae",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/2.0",
    b"Host: a\r\n",
    b"Content-Length: 0\r\n",
    b"Content-Length: 9\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: xchunked\r\n",
    b"Connection: close\r\n",
    b"Upgrade: websocket\r\n",
    b"Expect: 100-continue\r\n",
    b"Sec-WebSocket-Key: ",
    b"0\r\n\r\n",
    b"?wait=0",
    b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x80" * 20,
    b"A" * 16_400,
)


def request(random: Random) -> bytes:
    """Return a request that is valid, or wrong in one of the usual ways."""
    method, target = random.choice(METHODS), random.choice(TARGETS)
    if target.startswith("/publish") or (target.startswith("/api") and random.random() < 0.7):
        method = "POST"
    lines = [f"{method} {target} {random.choice(('HTTP/1.1',) * 12 + ('HTTP/1.0', 'HTTP/1.2', 'HTTP/3.0'))}"]
    if random.random() < 0.95:
        lines.append("Host: 127.0.0.1")
    lines += random.sample(HEADERS, random.choice((0, 0, 1, 1, 2, 3, 6)))
    if target.startswith("/api"):
        lines.append("X-API-Key: " + API_KEY)
    body = b""
    if method in ("POST", "PUT") or random.random() < 0.05:
        if random.random() < 0.3:
            body = random.choice(CHUNKED)
            lines.append("Transfer-Encoding: chunked")
        else:
            body = random.choice(BODIES[: random.choice((8, 8, 8, 9, 11, 12))])
            lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def requests(random: Random) -> bytes:
    """Return what comes over one connection: mostly one request, sometimes several."""
    return b"".join([request(random) for _ in range(random.choice((1, 1, 1, 2, 3)))])
