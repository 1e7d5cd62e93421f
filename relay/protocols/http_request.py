"""The head of an HTTP/1.1 request: what it asks for, and where its body ends (RFC 9112, sections 2, 3, 6 and 7). Pure.

It is stricter than a server has to be. A head that two parsers could understand in two ways is refused. So a proxy in
front of the relay, the relay and aiohttp see the same requests in the same bytes.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from relay.errors import Refused

METHODS: Final = frozenset((b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"TRACE"))
"""Methods that a handler can answer. CONNECT is not one of them: it would turn the connection into a tunnel."""

TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_TEXT = rb"[\t\x20-\x7e\x80-\xff]"
REQUEST_LINE: Final = re.compile(rb"(%b++) ([\x21\x22\x24-\x7e]++) HTTP/([0-9])\.([0-9])\r\n" % TOKEN)
# Possessive, so that matching takes linear time. Folded lines and blanks before a colon do not match.
FIELDS: Final = re.compile(rb"(?:%b++:%b*+\r\n)*+\r\n" % (TOKEN, _TEXT))
_NAMED = re.compile(
    rb"\r\n(host|content-length|transfer-encoding|upgrade|connection|expect):[ \t]*+([^\r]*)", re.IGNORECASE
)
_HOST = re.compile(rb"(?:[0-9A-Za-z\-._~%!$&'()*+,;=]*+|\[[0-9A-Za-z:.%~_-]++\])(?::[0-9]*+)?")
_ABSOLUTE = re.compile(rb"https?://([^/?#]+)([^#]*+)", re.IGNORECASE)
_LENGTH = re.compile(rb"[0-9]{1,18}")
_HOP_BY_HOP = re.compile(rb"\r\n(?:upgrade|connection|http2-settings):[^\r]*", re.IGNORECASE)
_HOST_FIELD = re.compile(rb"\r\nhost:[^\r]*", re.IGNORECASE)


class RequestHead(NamedTuple):
    """A request without its body.

    Args:
        raw: the head for the next parser, with the empty line. Its target is a path (or `*`), `Host` is the effective
            host, and `Upgrade` is there only if a WebSocket is asked for: a server may ignore other upgrades (RFC
            9110, section 7.8).
        method: in capitals, such as `b"GET"`.
        target: as in `raw`.
        length: of the body, in bytes; None: it comes in chunks.
        websocket: whether it asks for a WebSocket, be the handshake valid or not.
    """

    raw: bytes
    method: bytes
    target: bytes
    length: int | None
    websocket: bool


def find_head(buffer: bytearray, max_bytes: int) -> int | None:
    """Return the size of the head at the beginning of a buffer, in bytes, including the empty line.

    Args:
        buffer: all bytes that have come so far; it must not begin with an empty line.
        max_bytes: limit of the head without the empty line.

    Returns:
        None: the head is not complete yet.

    Raises:
        Refused: with 431, the head is too large; with 400, a line ends with a line feed alone.
    """
    limit = max_bytes + 4
    end = buffer.find(b"\r\n\r\n", 0, limit)
    # Checked before the head is complete: the empty line of a client with such line ends would never be found.
    searched = limit if end < 0 else end
    if buffer.count(b"\n", 0, searched) != buffer.count(b"\r\n", 0, searched):
        raise Refused(400, "lines of a request must end with CR LF")
    if end >= 0:
        return end + 4
    if len(buffer) >= limit:
        raise Refused(431, f"the request head has more than {max_bytes} bytes")
    return None


def read_head(raw: bytes, max_headers: int) -> RequestHead:
    """Read the head of a request.

    Args:
        raw: from the request line to the empty line, inclusive.
        max_headers: limit of the number of headers.

    Raises:
        Refused: with the status for the client. The connection must end: what follows can't be trusted.
    """
    line = REQUEST_LINE.match(raw)
    if line is None:
        raise Refused(
            400, "the request line must be METHOD TARGET HTTP/1.1, and a request target is ASCII without fragment"
        )
    method, target = line[1], line[2]
    if (line[3], line[4]) not in ((b"1", b"1"), (b"1", b"0")):
        raise Refused(505, "this port speaks HTTP/1.1")
    if FIELDS.fullmatch(raw, line.end()) is None:
        raise Refused(400, "a header is malformed: NAME: VALUE, in one line")
    if raw.count(b"\r\n") - 2 > max_headers:
        raise Refused(431, f"the request has more than {max_headers} headers")
    if method not in METHODS:
        raise Refused(405, "this method is not supported here", {"Allow": "GET, HEAD, POST, OPTIONS"})
    named: dict[bytes, list[bytes]] = {}
    for name, value in _NAMED.findall(raw):
        named.setdefault(name.lower(), []).append(value.rstrip(b" \t"))
    modern = line[4] == b"1"
    _check_host(named.get(b"host", []), modern)
    if named.get(b"expect", [b"100-continue"])[0].lower() != b"100-continue":
        raise Refused(417, "this expectation can't be met")
    length = _body_length(named.get(b"content-length"), named.get(b"transfer-encoding"), modern)
    upgrades = b",".join(named[b"upgrade"]).lower().split(b",") if b"upgrade" in named else []
    websocket = method == b"GET" and b"websocket" in [upgrade.strip(b" \t") for upgrade in upgrades]
    if not target.startswith(b"/") and not (target == b"*" and method == b"OPTIONS"):
        target, raw = _origin_form(line, raw)
    if upgrades and not (websocket and len(upgrades) == 1):
        raw = _with_upgrade(raw, named.get(b"connection", []), websocket)
    return RequestHead(raw, method, target, length, websocket)


def _check_host(hosts: list[bytes], modern: bool) -> None:
    """Refuse a request whose `Host` is missing, repeated or malformed (RFC 9112, section 3.2)."""
    if len(hosts) > 1 or (modern and not hosts):
        raise Refused(400, "a request must have one Host header")
    if hosts and _HOST.fullmatch(hosts[0]) is None:
        raise Refused(400, "the Host header is malformed")


def _body_length(lengths: list[bytes] | None, codings: list[bytes] | None, modern: bool) -> int | None:
    """Return the length of the body in bytes; None: it comes in chunks (RFC 9112, section 6.3)."""
    if codings is None:
        if lengths is None:
            return 0
        if len(lengths) > 1 or _LENGTH.fullmatch(lengths[0]) is None:
            raise Refused(400, "Content-Length must be one number")
        return int(lengths[0])
    if lengths is not None:
        raise Refused(400, "a body has either a Content-Length or a Transfer-Encoding")
    coding = b",".join(codings).lower()
    if not modern or coding.rpartition(b",")[2].strip(b" \t") != b"chunked":
        raise Refused(400, "the Transfer-Encoding does not say where the body ends")
    if coding != b"chunked":
        # Nor with empty list elements: RFC 9110, section 5.6.1, allows them, but not every server accepts them.
        raise Refused(501, "Transfer-Encoding must be chunked, without other codings")
    return None


def _origin_form(line: re.Match[bytes], raw: bytes) -> tuple[bytes, bytes]:
    """Return target and head of a request to an absolute URL, whose host replaces `Host` (RFC 9112, section 3.2.2)."""
    absolute = _ABSOLUTE.fullmatch(line[2])
    if absolute is None or _HOST.fullmatch(absolute[1]) is None:
        raise Refused(400, "the request target must be a path or an http URL, without control characters and fragment")
    target = absolute[2] if absolute[2].startswith(b"/") else b"/" + absolute[2]
    fields = _HOST_FIELD.sub(b"", raw[line.end() - 2 :])
    first = b"%b %b HTTP/%b.%b\r\nHost: %b" % (line[1], target, line[3], line[4], absolute[1])
    return target, first + fields


def _with_upgrade(raw: bytes, connections: list[bytes], websocket: bool) -> bytes:
    """Return a head without any `Upgrade`, or with that to a WebSocket alone."""
    options = [option.strip(b" \t") for option in b",".join(connections).split(b",")]
    dropped = (b"", b"http2-settings") if websocket else (b"", b"http2-settings", b"upgrade")
    kept = [option for option in options if option.lower() not in dropped]
    fields = [b"Connection: " + b", ".join(kept)] if kept else []
    if websocket:
        fields.append(b"Upgrade: websocket")
    return b"\r\n".join([_HOP_BY_HOP.sub(b"", raw)[:-4], *fields, b"", b""])
