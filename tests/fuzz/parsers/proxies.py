"""The parsers of what proxies tell: PROXY headers, `Forwarded` and `X-Forwarded-For`."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_address
from random import Random
from typing import Final

from relay.proxies.forwarded import TrustedProxies
from relay.proxies.proxy_header import MAX_BINARY_BYTES, ProxyHeader, read_proxy_header
from tests.fuzz.grammar import proxy
from tests.fuzz.parsers.parser import Parser, Wrong, expect

PEER: Final = "10.0.0.1"
_PROXIES: Final = TrustedProxies(("10.0.0.0/8", "2001:db8::/64"))


def make_proxy_header(random: Random) -> bytes:
    """Return a PROXY header, perhaps with a request behind it."""
    return proxy.header(random) + random.choice((b"", b"GET / HTTP/1.1\r\n"))


def read_proxy(data: bytes) -> ProxyHeader | None:
    """Return the PROXY header at the beginning of some data."""
    header = read_proxy_header(data)
    expect(header, (ProxyHeader, type(None)))
    if header is not None:
        if not 0 <= header.size <= min(len(data), 16 + MAX_BINARY_BYTES):
            raise Wrong(f"a header of {header.size} bytes")
        if header.source is not None:
            _check_address(header.source)
    return header


def read_proxy_in_pieces(pieces: Sequence[bytes]) -> ProxyHeader | None:
    """Return the same, looking after each piece."""
    data = b""
    for piece in pieces:
        data += piece
        if (header := read_proxy(data)) is not None:
            return header
    return None


ELEMENTS: Final = (
    "192.0.2.1",
    "10.0.0.7",
    "[2001:db8::1]",
    "[2001:db8::1]:4711",
    "2001:db8::1",
    "192.0.2.1:80",
    "192.0.2.1:_port",
    "unknown",
    "_hidden",
    "::ffff:10.0.0.1",
    "",
    "1.2.3",
    "fe80::1%eth0",
)
PARAMETERS: Final = ("proto=https", "host=a", "by=10.0.0.1", 'host="a,b;c"', "for=x", "a", "=", 'x="')
FORWARDED_TOKENS: Final = (
    *(element.encode() for element in ELEMENTS),
    b"for=",
    b"FOR=",
    b'"',
    b"\\",
    b'\\"',
    b";",
    b",",
    b", ",
    b"[",
    b"]",
    b":",
    b"\n",
    b"F",
    b"X",
    b"\t",
    b"\xb2",
    b"\xa0",
    b'"' + b"\\a" * 300,
)


def make_forwarded(random: Random) -> bytes:
    """Return the values of headers: each a line, with `F` for `Forwarded` in front, or `X` for `X-Forwarded-For`."""
    lines = []
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        elements = random.choices(ELEMENTS, k=random.choice((1, 1, 2, 3, 8)))
        if random.random() < 0.4:
            lines.append("X" + ", ".join(elements))
            continue
        quoted = (
            f'for="{element}"' if not element or set(element) & set("[]:%") else f"for={element}"
            for element in elements
        )
        more = (f"{pair};{random.choice(PARAMETERS)}" if random.random() < 0.3 else pair for pair in quoted)
        lines.append("F" + ", ".join(more))
    return "\n".join(lines).encode()


def read_forwarded(data: bytes) -> str:
    """Return the address of the client."""
    return _client_address(_values(data, "X"), _values(data, "F"))


def read_forwarded_in_pieces(pieces: Sequence[bytes]) -> str:
    """Return the same when each header comes as several, cut at its commas (RFC 9110, section 5.3)."""
    data = b"".join(pieces)
    cut = [[part for value in _values(data, name) for part in value.split(",")] for name in "XF"]
    return _client_address(*cut)


def _values(data: bytes, name: str) -> list[str]:
    return [line[1:] for line in data.decode("latin-1").split("\n") if line.startswith(name)]


def _client_address(x_forwarded_for: list[str], forwarded: list[str]) -> str:
    found = _PROXIES.client_address(PEER, x_forwarded_for, forwarded)
    _check_address(found)
    return found


def _check_address(text: str) -> None:
    expect(text, str)
    if str(ip_address(text)) != text:
        raise Wrong(f"the address {text!r}")


PARSERS: Final = {
    "proxy-header": Parser(
        12, make_proxy_header, proxy.TOKENS, read_proxy, read_proxy_in_pieces, statuses=(400,), max_bytes=5000
    ),
    "forwarded": Parser(
        10, make_forwarded, FORWARDED_TOKENS, read_forwarded, read_forwarded_in_pieces, statuses=(400,)
    ),
}
