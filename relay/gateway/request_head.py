"""The head of a request that has no body: what a handshake is."""

from __future__ import annotations

from websockets.datastructures import Headers
from websockets.exceptions import WebSocketException
from websockets.http11 import Request
from websockets.streams import StreamReader

from relay.auth.forwarded import TrustedProxies
from relay.errors import Refused


def parse_head(head: bytes) -> Request:
    """Parse the head of a request.

    Args:
        head: with the empty line at its end.

    Raises:
        Refused: with 400; it is malformed, or announces a body.
    """
    reader = StreamReader()
    reader.feed_data(head)
    try:
        next(Request.parse(reader.read_line))
    except StopIteration as parsed:
        request: Request = parsed.value
        return request
    except (EOFError, ValueError, NotImplementedError, WebSocketException) as error:
        raise Refused(400, str(error)) from error
    raise AssertionError("the head is whole")


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
