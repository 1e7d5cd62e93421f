"""The head of a request that has no body: what a handshake is."""

from __future__ import annotations

from websockets.datastructures import Headers
from websockets.http11 import Request

from relay.errors import Refused
from relay.proxies.forwarded import TrustedProxies


def parse_head(head: bytes) -> Request:
    """Take the head of a request apart.

    Args:
        head: with the empty line at its end, as `relay.protocols.http_request` lets it through: the library's own
            parser would look at each line once more, for 30 µs.

    Raises:
        Refused: with 400; it announces a body.
    """
    line, *fields = head[:-4].decode("latin-1").split("\r\n")
    method, path, protocol = line.split(" ")
    headers = Headers()
    for field in fields:
        name, _, value = field.partition(":")
        headers.set_insecure(name, value.strip(" \t"))
    if "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
        raise Refused(400, "a request like this has no body")
    return Request(path, headers, method, protocol)


def client_address(headers: Headers, peer: str, proxies: TrustedProxies) -> str:
    """Return where a request comes from: the peer, or whom a trusted proxy speaks for."""
    return proxies.client_address(peer, headers.get_all("X-Forwarded-For"), headers.get_all("Forwarded"))


def only(headers: Headers, name: str) -> str | None:
    """Return a header that may come once; None when it doesn't come.

    Raises:
        Refused: with 400; it came more than once.
    """
    values = headers.get_all(name)
    if len(values) > 1:
        raise Refused(400, f"more than one {name} header")
    return values[0] if values else None
