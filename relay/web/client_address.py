"""Who sends a plain HTTP request, when it came through proxies: `request.remote` says it to every handler."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from relay.proxies.forwarded import TrustedProxies


def client_address_middleware(proxies: TrustedProxies) -> Middleware:
    """Return what makes `request.remote` the client's address.

    Args:
        proxies: those that are believed.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = request.remote or ""  # what a PROXY header has said, if there was one
        x_forwarded_for = request.headers.getall(hdrs.X_FORWARDED_FOR, [])
        remote = proxies.client_address(peer, x_forwarded_for, request.headers.getall(hdrs.FORWARDED, []))
        return await handler(request if remote == request.remote else request.clone(remote=remote))

    return middleware
