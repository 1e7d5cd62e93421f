"""The request of a client by plain HTTP, as authenticators get it."""

from __future__ import annotations

from typing import Final

from aiohttp import hdrs, web

from relay.errors import Refused
from relay.protocols.request import ConnectRequest, parse_request

_ONCE: Final = (hdrs.AUTHORIZATION, hdrs.COOKIE)
"""Headers with credentials. aiohttp returns the first of several, and a proxy that checks them may look at the last."""


def read_connect_request(request: web.Request) -> ConnectRequest:
    """Return what a client asks for.

    Raises:
        Refused: with 400; the path, the query or a header is malformed, or a header with a credential comes twice.
    """
    for name in _ONCE:
        if len(request.headers.getall(name, ())) > 1:
            raise Refused(400, f"more than one {name} header")
    # The raw path: aiohttp's own is decoded, by other rules than those by which `a%2Fb` and `a/b` are one channel.
    return parse_request(
        request.raw_path,
        request.headers,
        request.remote or "",
        certificate_user=request.get_extra_info("certificate_user"),
    )
