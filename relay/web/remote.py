"""Who sends a plain HTTP request, when it came through proxies: `request.remote` says it to every handler."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from relay.auth.forwarded import TrustedProxies

Sources = WeakKeyDictionary[object, str]
"""Transport → address of the client behind it, for connections that were handed to the HTTP side."""


def tell_remote(proxies: TrustedProxies, sources: Sources) -> Middleware:
    """Return what makes `request.remote` the client's address.

    Args:
        proxies: those that are believed.
        sources: what PROXY headers have said.
    """

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = request.remote or ""
        if request.transport is not None:  # else the client has left already
            peer = sources.get(request.transport, peer)
        x_forwarded_for = request.headers.getall(hdrs.X_FORWARDED_FOR, [])
        remote = proxies.client_address(peer, x_forwarded_for, request.headers.getall(hdrs.FORWARDED, []))
        return await handler(request if remote == request.remote else request.clone(remote=remote))

    return middleware
